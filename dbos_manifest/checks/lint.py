"""Check the workflows of a manifest against the rules, and report problems where the options are written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from ..core.canonical_json import encode_json, may_have_large_numbers
from ..core.columns import Repeated, convert, distinct, read_chunks, weigh
from ..core.diagnostic import Diagnostic, Severity, ValuePath, make_diagnostic
from ..core.memory_budget import BUDGET
from ..core.work_budget import spend, spend_bytes
from ..expansion.compiled_entry import Report
from ..expansion.diagnostic_groups import DiagnosticGroups, EnoughErrors, LabelledDiagnostic
from ..expansion.expansion import Expansion
from ..expansion.selection import Selection
from ..expressions.compiled import contains_mark
from ..manifest.contracts import InvalidContract
from ..workflows.batch import Batch
from ..workflows.options import FIELDS
from ..workflows.precedence import path_of_place
from ..workflows.spec import WorkflowSpec
from .rules import MAX_NAME_CHARACTERS, lint_numbers, lint_spec, lint_values, relate_here
from .uniqueness import Uniqueness

_ENVELOPE = b'{"positionalArgs":,"namedArgs":}'
_Signature = tuple[object, ...]
_LINT_STEPS = 8  # of work to check the options of one workflow
_MOST_SIGNATURES, _LONGEST_SIGNATURE = 10_000, 1_000  # characters


class CheckedExpansion(NamedTuple):
    """The problems of a manifest's workflows, and what a selection matches of them."""

    diagnostics: list[Diagnostic]
    selected: int = 0  # workflows that match
    listed: frozenset[str] = frozenset()  # IDs of workflows that the selection lists


def check_expansion(
    expansion: Expansion, selection: Selection | None, uniqueness: Uniqueness
) -> CheckedExpansion:
    """Find every problem of a manifest's workflows, except duplicates: `uniqueness` finds them at the end.

    A problem of a default is reported once, at the default. Workflows that are not selected are only added
    to `uniqueness`.
    """
    manifest, groups = expansion.manifest, DiagnosticGroups()
    constants = {option: value for option, value in manifest.defaults.items() if not contains_mark(value)}
    of_manifest = chain(
        expansion.problems, uniqueness.add_manifest(manifest), lint_values(constants, ("defaults",))
    )
    groups.update((diagnostic, None) for diagnostic in of_manifest)
    if expansion.too_many:
        return CheckedExpansion(groups.merge())
    selected, listed = 0, set[str]()
    with suppress(EnoughErrors):
        for checker, batch in _expand_for_check(expansion, groups.add):
            uniqueness.add(batch)
            if selection is not None:
                listed |= selection.find_listed(batch.ids)
            if chosen := _select(expansion, selection, batch):
                selected += len(chosen)
                groups.update(checker.check(chosen, warn=not groups.enough_warnings))
    uniqueness.add_expansion(expansion)
    return CheckedExpansion(groups.merge(), selected, frozenset(listed))


def _expand_for_check(expansion: Expansion, report: Report) -> Iterator[tuple[_Checker, Batch]]:
    """Yield batches of workflows with what checks them; entries of one workflow are batched together."""
    singles: list[WorkflowSpec] = []
    of_singles = _Checker(expansion, ())
    for index in range(len(expansion.manifest.entries)):
        options = expansion.varying(index)
        if options is None:
            singles += expansion.entry_specs(index, report)
        if singles and (options is not None or len(singles) >= BUDGET.batch_size):
            yield of_singles, Batch.of(singles)
            singles = []
        if options is not None:
            checker = _Checker(expansion, options, of_one_entry=True)
            for batch in expansion.entry_batches(index, BUDGET.batch_size, report):
                yield checker, batch
    if singles:
        yield of_singles, Batch.of(singles)


def _select(expansion: Expansion, selection: Selection | None, batch: Batch) -> Batch | None:
    if selection is None:
        return batch
    mask = bytes(selection.matches(expansion, spec) for spec in batch)
    return batch.filter(mask) if 1 in mask else None


class _Checker:
    """Checks workflows: of one entry those that differ only in what no rule reads are checked once."""

    def __init__(self, expansion: Expansion, varying: Collection[str], *, of_one_entry: bool = False) -> None:
        self._expansion = expansion
        self._catalog = expansion.catalog
        self._limit = expansion.manifest.max_input_bytes
        self._of_one_entry = of_one_entry
        self._signs = [(FIELDS[option], _SIGNS.get(option, _sign_values)) for option in sorted(varying)]
        self._inputs_vary = not {"args", "kwargs", "workflow"}.isdisjoint(varying)
        self._good: set[_Signature] = set()
        self._needs_contracts = self._catalog.has_contracts

    def check(self, batch: Batch, *, warn: bool) -> Iterator[LabelledDiagnostic]:
        """Yield the problems of a batch; without `warn`, warnings may be left out."""
        violations: dict[int, list[Diagnostic]] = {}
        try:
            violations = self._find_violations(batch)
        except InvalidContract as error:
            yield error.to_diagnostic(), None
        if not self._of_one_entry:
            for row, spec in enumerate(batch):
                yield from self._check_one(spec, None, warn, violations.get(row, ()))
            return
        signs = [sign(batch.columns[field]) for field, sign in self._signs]
        signatures: Sequence[_Signature] = [*zip(*signs, strict=True)] if signs else [()] * len(batch)
        if violations or not self._good.issuperset(signatures) or not self._has_good_inputs(batch, warn):
            for row, (spec, signature) in enumerate(zip(batch, signatures, strict=True)):
                yield from self._check_one(spec, signature, warn, violations.get(row, ()))

    def _find_violations(self, batch: Batch) -> dict[int, list[Diagnostic]]:
        """Return the violations of contracts by the workflow's position; only the first of equal ones."""
        if not self._needs_contracts:
            return {}
        if self._of_one_entry and not self._inputs_vary:
            self._needs_contracts = False
            batch = batch.slice(0, 1)
        return self._catalog.check(batch)

    def _has_good_inputs(self, batch: Batch, warn: bool) -> bool:
        """Return whether the arguments have no problem, from their columns; False if that is uncertain."""
        if not self._inputs_vary:
            return True
        inputs = [distinct(batch.columns[field]) for field in ("args", "kwargs")]
        weighed = [_weigh_inputs(values, self._limit // 4) for values in inputs]
        if sum(largest for largest, _ in weighed) + len(_ENVELOPE) > self._limit:
            return False
        suspect = warn and any(may_be_imprecise for _, may_be_imprecise in weighed)
        return not suspect or not any(True for value in chain(*inputs) for _ in lint_numbers(value, ()))

    def _check_one(
        self,
        spec: WorkflowSpec,
        signature: _Signature | None,
        warn: bool,
        violations: Sequence[Diagnostic],
    ) -> Iterable[LabelledDiagnostic]:
        """Return the problems of a workflow; one without a signature is like no other."""
        is_known = signature in self._good
        if is_known and not self._inputs_vary and not violations:
            return ()
        problems: list[Diagnostic] = []
        if not is_known:
            spend(_LINT_STEPS)
            problems += lint_spec(spec)
            problems += self._catalog.check_name(spec)
            if signature is not None and not any(p.severity is Severity.ERROR or warn for p in problems):
                self._remember(signature)
        args, kwargs = encode_json(spec.args), encode_json(spec.kwargs)
        spend_bytes(len(args) + len(kwargs))
        if len(args) + len(kwargs) + len(_ENVELOPE) > self._limit:
            problems.append(_too_large(spec, len(args), len(kwargs), self._limit))
        may_be_imprecise = may_have_large_numbers(args) or may_have_large_numbers(kwargs)
        if not problems and not may_be_imprecise and not violations:
            return ()
        numbers = _lint_inputs(spec) if may_be_imprecise else ()
        return chain(
            self._locate(spec, problems),
            self._locate(spec, numbers, in_all=not self._inputs_vary),
            self._locate(spec, violations),
        )

    def _remember(self, signature: _Signature) -> None:
        """Remember that workflows with a signature have no problem, within little memory."""
        if sum(len(part) for part in signature if isinstance(part, str)) > _LONGEST_SIGNATURE:
            return
        if len(self._good) >= _MOST_SIGNATURES:
            self._good.clear()
        self._good.add(signature)

    def _locate(
        self, spec: WorkflowSpec, problems: Iterable[Diagnostic], *, in_all: bool = False
    ) -> Iterator[LabelledDiagnostic]:
        """Move problems to where the options are written, with a label for those of some workflows only."""
        label = None if in_all or not self._of_one_entry else partial(self._expansion.label, spec)
        for problem in problems:
            located = _locate_option(self._expansion, spec, problem)
            yield located, label if located.path[0] == "workflows" else None


def _lint_inputs(spec: WorkflowSpec) -> Iterator[Diagnostic]:
    for option, value in (("args", spec.args), ("kwargs", spec.kwargs)):
        yield from lint_numbers(value, ("workflows", spec.entry, option))


def _weigh_inputs(values: Collection[object], limit: int) -> tuple[int, bool]:
    """Return the bytes of the largest value as JSON, and whether one may have numbers beyond 2^53.

    Values that are below `limit` together are not weighed one by one, and large values not encoded together.
    """
    largest, suspect = 0, False
    at_once = max(1, BUDGET.encoded_bytes // (weigh(next(iter(values))) + 1))
    for part in read_chunks(values, at_once):
        text = encode_json(part)
        suspect = suspect or may_have_large_numbers(text)
        largest = max(largest, len(text) if len(text) < limit else max(map(weigh, part)))
    return largest, suspect


def _sign_texts(column: Sequence[Any]) -> Sequence[object]:
    """Return 0 for None and 1 for a valid text; a text that a rule may reject is returned itself."""
    fine = None not in column and all(column) and not any(map(str.isspace, column))
    if fine and max(map(len, column)) < MAX_NAME_CHARACTERS:
        return Repeated(1, len(column))
    return [*map(_sign_text, column)]


def _sign_text(value: str | None) -> object:
    if value is None:
        return 0
    return 1 if value and len(value) < MAX_NAME_CHARACTERS and not value.isspace() else value


def _sign_values(column: Sequence[Any]) -> Sequence[object]:
    return convert(column, repr)


def _sign_lengths(column: Sequence[Any]) -> Sequence[object]:
    return convert(column, len)


def _sign_presence(column: Sequence[Any]) -> Sequence[object]:
    return convert(column, bool)


_SIGNS: dict[str, Callable[[Sequence[Any]], Sequence[object]]] = {  # by option
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
        f"the arguments are {size:,} bytes of JSON, but at most {limit:,} are allowed",
        ("workflows", spec.entry, "kwargs" if kwargs > args else "args"),
        help="pass the location of the data instead of the data itself, or raise `limits: "
        "{max_input_bytes: …}`",
    )


def _locate_option(expansion: Expansion, spec: WorkflowSpec, diagnostic: Diagnostic) -> Diagnostic:
    """Move a diagnostic to where its option is written: entry, catalog, defaults or manifest.

    If two options exclude each other, the one in the entry is reported.
    """
    path = find_origin(expansion, spec.workflow, diagnostic.path)
    related = diagnostic.related
    if related and related[0].file is None:  # another option of the same workflow
        other = find_origin(expansion, spec.workflow, related[0].path)
        if path[0] != "workflows" and other[0] == "workflows":
            path, other = other, path
        related = (relate_here(other, expansion.manifest.document.index),)
    return replace(diagnostic, path=path, related=related)


def find_origin(expansion: Expansion, workflow: str | None, path: ValuePath) -> ValuePath:
    """Return the path where an option is written; the path of the entry if it is not written anywhere."""
    _, index, option, *rest = path
    assert isinstance(index, int)
    place = expansion.layers(index, workflow).find(str(option))
    return (*path_of_place(place, index, workflow), option, *rest) if place is not None else path[:2]
