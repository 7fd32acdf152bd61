"""Test diagnostics: severities, codes and paths."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from dbos_manifest.core.diagnostic import CODES, Severity, Span, ValuePath, format_path, make_diagnostic


def test_code_has_a_default_severity() -> None:
    assert make_diagnostic("unknown-key", "m").severity is Severity.ERROR
    assert make_diagnostic("ambiguous-scalar", "m").severity is Severity.WARNING
    assert make_diagnostic("unknown-key", "m", severity=Severity.WARNING).severity is Severity.WARNING


def test_unknown_code_is_refused() -> None:
    with pytest.raises(KeyError):
        make_diagnostic("no-such-code", "m")


def test_codes_and_summaries_are_well_formed() -> None:
    for code, info in CODES.items():
        assert code == code.lower() and " " not in code
        assert info.layer in {"syntax", "schema", "meaning", "database"}
        assert info.summary and not info.summary.endswith(".")


def test_diagnostic_is_immutable() -> None:
    diagnostic = make_diagnostic("unknown-key", "m", ("a",))
    with pytest.raises(FrozenInstanceError):
        setattr(diagnostic, "span", Span("jobs.yaml", 1, 1, 1, 2))  # noqa: B010 - mypy knows it is an error


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "$"),
        (("workflows", 0, "timeout"), "$.workflows[0].timeout"),
        (("x-notes", "a-b"), "$.x-notes.a-b"),
        (("kwargs", "a b"), '$.kwargs["a b"]'),
        (("kwargs", 'q"\\'), '$.kwargs["q\\"\\\\"]'),
        (("kwargs", ""), '$.kwargs[""]'),
        (("kwargs", "1st"), '$.kwargs["1st"]'),
    ],
)
def test_path_is_formatted_as_json_path(path: ValuePath, text: str) -> None:
    assert format_path(path) == text
