"""Check arguments against the contracts of the catalog: JSON Schemas for args and kwargs, by workflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..core.columns import Repeated, distinct
from ..core.diagnostic import Diagnostic, make_diagnostic
from ..core.suggest import suggest
from ..reading.sandbox import Tree
from ..workflows.batch import Batch
from ..workflows.spec import WorkflowSpec
from .contracts import Contract, Contracts, InvalidContract, SchemaFiles, Violation

CONTRACTS = ("args", "kwargs")


class Catalog:
    """The catalog of a manifest: options and compiled contracts by workflow name."""

    def __init__(
        self,
        entries: Mapping[str, Mapping[str, object]],
        contracts: Contracts,
        compiled: Mapping[str, Mapping[str, Contract]],
    ) -> None:
        self._entries = entries
        self._options = {name: _options_of(entry) for name, entry in entries.items()}
        self._contracts = contracts
        self._compiled = compiled  # by workflow and part

    def options(self, workflow: str | None) -> dict[str, object]:
        """Return the options that the catalog sets for a workflow; none for a name it does not have."""
        return self._options.get(workflow or "", {})

    @property
    def has_options(self) -> bool:
        return any(self._options.values())

    @property
    def has_contracts(self) -> bool:
        """Return whether arguments of any workflow are checked."""
        return bool(self._compiled)

    def check(self, batch: Batch) -> dict[int, list[Diagnostic]]:
        """Return the violations of contracts by the workflows of a batch, by the workflow's position.

        Raises: InvalidContract if a contract takes too much time or memory.
        """
        found: dict[int, list[Diagnostic]] = {}
        for workflow, rows in _group_rows(batch.columns["workflow"]).items():
            for part, contract in self._compiled.get(workflow, {}).items():
                column = batch.columns[part]
                values = distinct(map(column.__getitem__, rows))
                violations = self._contracts.find_violations(contract, [*values])
                if not violations:
                    continue
                positions = {id(value): position for position, value in enumerate(values)}
                for row in rows:
                    for violation in violations.get(positions[id(column[row])], ()):
                        problem = _to_diagnostic(violation, workflow, part, batch.columns["entry"][row])
                        found.setdefault(row, []).append(problem)
        return found

    def check_name(self, spec: WorkflowSpec) -> Iterator[Diagnostic]:
        """Warn of a name that resembles one of the catalog; other names may be missing from it."""
        if not self._entries or spec.workflow in self._entries:
            return
        if help := suggest(spec.workflow, self._entries):
            message = f"`{spec.workflow}` is not in the catalog"
            yield make_diagnostic(
                "unknown-workflow", message, ("workflows", spec.entry, "workflow"), help=help
            )


def _group_rows(workflows: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """Return the positions of each name in a column."""
    if isinstance(workflows, Repeated):
        return {workflows.value: range(len(workflows))}
    rows: dict[str, list[int]] = {}
    for row, workflow in enumerate(workflows):
        rows.setdefault(workflow, []).append(row)
    return rows


def _to_diagnostic(violation: Violation, workflow: str, part: str, entry: int) -> Diagnostic:
    return make_diagnostic(
        "catalog-arguments",
        f"`{part}` of `{workflow}`: {violation.message}",
        ("workflows", entry, part, *violation.path),
        help=f"see the contract `catalog.{workflow}.{part}`",
    )


def _options_of(entry: Mapping[str, object]) -> dict[str, object]:
    return {
        key: value
        for key, value in entry.items()
        if key not in (*CONTRACTS, "description") and not key.startswith("x-")
    }


def read_catalog(
    entries: Mapping[str, Mapping[str, object]], tree: Tree, contracts: Contracts
) -> tuple[Catalog, list[Diagnostic]]:
    """Compile the contracts of a catalog. Return it without its invalid contracts, and a problem for each."""
    files = SchemaFiles(tree)
    compiled: dict[str, dict[str, Contract]] = {}
    problems: list[Diagnostic] = []
    for name, entry in entries.items():
        for part in CONTRACTS:
            if entry.get(part) is None:
                continue
            try:
                contract = contracts.compile(entry[part], ("catalog", name, part), files)
            except InvalidContract as error:
                problems.append(error.to_diagnostic())
            else:
                compiled.setdefault(name, {})[part] = contract
    return Catalog(entries, contracts, compiled), problems
