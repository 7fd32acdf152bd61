"""The meaning of a manifest: its workflows held against the rules, each kind once, blamed on its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from ..core.canonical_json import encode_json, may_have_large_numbers
from ..core.columns import Repeated, convert, distinct, read_chunks, weigh
from ..core.diagnostic import Diagnostic, Path, Severity, make_diagnostic
from ..core.memory_budget import BUDGET
from ..expansion.expansion import Expansion
from ..expansion.grouping import EnoughErrors
from ..expressions.compiled import contains_mark
from ..workflows.batch import Batch
from ..workflows.options import FIELDS
from ..workflows.precedence import path_of_place
from ..workflows.spec import WorkflowSpec
from .rules import MAX_NAME_CHARACTERS, lint_numbers, lint_spec, lint_values, relate_here
from .uniqueness import Uniqueness

Chosen = Callable[[Expansion, WorkflowSpec], bool]
"""Whether a call is about a workflow; the others are only looked at for their ids."""


_ENVELOPE = b'{"positionalArgs":,"namedArgs":}'


def check_expansion(expansion: Expansion, chosen: Chosen | None, uniqueness: Uniqueness) -> list[Diagnostic]:
    """Every problem of the manifest's meaning but ids that clash, which `uniqueness` tells of at the end.

    What is wrong with a default is blamed on the default, once, however many workflows take it.
    """
    manifest, found = expansion.manifest, expansion.problems
    for diagnostic in uniqueness.add_manifest(manifest):
        found.add(diagnostic)
    constants = {option: value for option, value in manifest.defaults.items() if not contains_mark(value)}
    for diagnostic in lint_values(constants, ("defaults",)):
        found.add(diagnostic)
    if not expansion.too_many:
        with suppress(EnoughErrors):
            _lint_workflows(expansion, chosen, uniqueness)
        uniqueness.add_expansion(expansion)
    return found.merge()


def _lint_workflows(expansion: Expansion, chosen: Chosen | None, uniqueness: Uniqueness) -> None:
    for index in range(len(expansion.manifest.entries)):
        linter = _EntryLinter(expansion, index)
        if linter.one:
            for spec in expansion.entry_specs(index, expansion.problems.add):
                uniqueness.add_spec(spec)
                if chosen is None or chosen(expansion, spec):
                    linter.lint(spec)
            continue
        for batch in expansion.entry_batches(index, BUDGET.batch_size, expansion.problems.add):
            uniqueness.add_batch(batch)
            if chosen is None:
                linter.lint_batch(batch)
            elif 1 in (mask := bytes(chosen(expansion, spec) for spec in batch)):
                linter.lint_batch(batch.filter(mask))


class _EntryLinter:
    """Lints one entry's workflows: those that differ only in what no rule looks at are linted once."""

    def __init__(self, expansion: Expansion, index: int) -> None:
        self._expansion = expansion
        self._catalog = expansion.catalog
        self._limit = expansion.manifest.max_input_bytes
        self.one = (varying := expansion.varying(index)) is None
        options = sorted(varying or ())
        self._signs = [(FIELDS[option], _SIGNS.get(option, _sign_values)) for option in options]
        self._inputs_vary = not {"args", "kwargs", "workflow"}.isdisjoint(options)
        self._good: set[tuple[Any, ...]] = set()

    def lint_batch(self, batch: Batch) -> None:
        signs = [sign(batch.columns[field]) for field, sign in self._signs]
        signatures = [*zip(*signs, strict=True)] if signs else [()] * len(batch)
        if not self._good.issuperset(signatures) or not self._has_good_inputs(batch):
            for spec, signature in zip(batch, signatures, strict=True):
                self.lint(spec, signature)

    def _has_good_inputs(self, batch: Batch) -> bool:
        """Whether there is surely nothing to say of any workflow's arguments, told by columns."""
        if not self._inputs_vary:
            return True
        contracts = any(map(self._catalog.has_contract, distinct(batch.columns["workflow"])))
        inputs = [distinct(batch.columns[field]) for field in ("args", "kwargs")]
        weighed = [_weigh_inputs(values, self._limit // 4) for values in inputs]
        if contracts or sum(largest for largest, _ in weighed) + len(_ENVELOPE) > self._limit:
            return False
        enough = self._expansion.problems.enough_warnings
        suspect = not enough and any(may_be_imprecise for _, may_be_imprecise in weighed)
        return not suspect or not any(True for value in chain(*inputs) for _ in lint_numbers(value, ()))

    def lint(self, spec: WorkflowSpec, signature: tuple[Any, ...] = ()) -> None:
        known = signature in self._good
        if not known:
            problems = [*lint_spec(spec), *self._catalog.check_name(spec)]
            enough = self._expansion.problems.enough_warnings
            if not any(problem.severity is Severity.ERROR or not enough for problem in problems):
                self._good.add(signature)
            self._tell(spec, problems)
        if not known or self._inputs_vary:
            args, kwargs = encode_json(spec.args), encode_json(spec.kwargs)
            if len(args) + len(kwargs) + len(_ENVELOPE) > self._limit:
                self._tell(spec, [_too_large(spec, len(args), len(kwargs), self._limit)])
            if may_have_large_numbers(args) or may_have_large_numbers(kwargs):
                path = ("workflows", spec.entry)
                problems = [
                    *lint_numbers(spec.args, (*path, "args")),
                    *lint_numbers(spec.kwargs, (*path, "kwargs")),
                ]
                self._tell(spec, problems, in_all=not self._inputs_vary)
            if self._catalog.has_contract(spec.workflow):
                self._tell(spec, self._catalog.check(spec))

    def _tell(self, spec: WorkflowSpec, problems: Iterable[Diagnostic], *, in_all: bool = False) -> None:
        label = None if self.one or in_all else partial(self._expansion.label, spec)
        for problem in problems:
            blamed = _blame(self._expansion, spec, problem)
            self._expansion.problems.add(blamed, label if blamed.path[0] == "workflows" else None)


def _weigh_inputs(values: Collection[Any], limit: int) -> tuple[int, bool]:
    """Return the bytes of the largest value as JSON, and whether one may have numbers beyond 2^53.

    Values that are together below `limit` are not weighed one by one; large ones are not held together.
    """
    largest, suspect = 0, False
    at_once = max(1, BUDGET.encoded_bytes // (weigh(next(iter(values))) + 1))
    for part in read_chunks(values, at_once):
        text = encode_json(part)
        suspect = suspect or may_have_large_numbers(text)
        largest = max(largest, len(text) if len(text) < limit else max(map(weigh, part)))
    return largest, suspect


def _sign_texts(column: Sequence[Any]) -> Sequence[Any]:
    """0 unset, 1 fine; a text that a rule may find fault with stands for itself."""
    fine = None not in column and all(column) and not any(map(str.isspace, column))
    if fine and max(map(len, column)) < MAX_NAME_CHARACTERS:
        return Repeated(1, len(column))
    return [*map(_sign_text, column)]


def _sign_text(value: Any) -> Any:
    if value is None:
        return 0
    return 1 if value and len(value) < MAX_NAME_CHARACTERS and not value.isspace() else value


def _sign_values(column: Sequence[Any]) -> Sequence[Any]:
    return convert(column, repr)


def _sign_lengths(column: Sequence[Any]) -> Sequence[Any]:
    return convert(column, len)


def _sign_presence(column: Sequence[Any]) -> Sequence[Any]:
    return convert(column, bool)


_SIGNS: dict[str, Callable[[Sequence[Any]], Sequence[Any]]] = {
    **dict.fromkeys(("id", "queue_partition_key", "deduplication_id", "application_version"), _sign_texts),
    **dict.fromkeys(
        ("authenticated_user", "assumed_role", "application", "instance_name", "schedule"), _sign_texts
    ),
    "args": _sign_lengths,
    "kwargs": _sign_presence,
}


def _too_large(spec: WorkflowSpec, args: int, kwargs: int, limit: int) -> Diagnostic:
    size = args + kwargs + len(_ENVELOPE)  # as DBOS stores them
    return make_diagnostic(
        "input-too-large",
        f"the arguments are {size:,} bytes of JSON, more than the {limit:,} that are allowed",
        ("workflows", spec.entry, "kwargs" if kwargs > args else "args"),
        help="pass where the data is, not the data; or raise `limits: {max_input_bytes: …}`",
    )


def _blame(expansion: Expansion, spec: WorkflowSpec, diagnostic: Diagnostic) -> Diagnostic:
    """The diagnostic at the place where its option is written: entry, catalog, defaults or manifest.

    Of two options at odds, the entry's own is the one to blame.
    """
    path = find_origin(expansion, spec.workflow, diagnostic.path)
    related = diagnostic.related
    if related and related[0].file is None:  # another option of the same workflow
        other = find_origin(expansion, spec.workflow, related[0].path)
        if path[0] != "workflows" and other[0] == "workflows":
            path, other = other, path
        related = (relate_here(other, expansion.manifest.document.index),)
    return replace(diagnostic, path=path, related=related)


def find_origin(expansion: Expansion, workflow: str | None, path: Path) -> Path:
    """Where the option that `path` leads to is written; the whole entry when it is written nowhere."""
    _, index, option, *rest = path
    assert isinstance(index, int)
    place = expansion.layers(index, workflow).find(str(option))
    return (*path_of_place(place, index, workflow), option, *rest) if place is not None else path[:2]
