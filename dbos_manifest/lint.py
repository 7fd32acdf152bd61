"""The meaning of a manifest: specs in, what DBOS or the runtime's SDK would refuse, ignore or lose out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from .blocks import SpecBlock
from .canonical import encode_json
from .columns import Repeated, convert, distinct
from .diagnostic import Diagnostic, Path, Related, Severity, Target, make_diagnostic
from .expand import Expansion
from .findings import Enough
from .options import FIELDS
from .spec import WorkflowSpec
from .uniqueness import Uniqueness
from .values import contains_mark

Chosen = Callable[[Expansion, WorkflowSpec], bool]
"""Whether a call is about a workflow; the others are only looked at for their ids."""


_ENVELOPE = b'{"positionalArgs":,"namedArgs":}'
_AT_ONCE = 1000  # workflows of an entry
PROVENANCE_KEY = "dbos_manifest"
RESERVED_QUEUE_PREFIX = "_dbos_"

# PostgreSQL keeps an index entry below 2,704 bytes: an id alone in one, the others by twos.
MAX_ID_BYTES = 2000
MAX_TEXT_BYTES = 1000
MAX_NAME_CHARACTERS = 255  # of class_name and config_name, varchar(255)
_NAMES = ("class_name", "instance_name")
_TEXTS = (
    "id", "workflow", "queue", *_NAMES, "application", "queue_partition_key", "deduplication_id",
    "application_version", "authenticated_user", "assumed_role",
)  # fmt: skip


class _Runtime(NamedTuple):
    """What an SDK's client and worker were seen to do with a workflow (docs/compatibility.md)."""

    sdk: str
    drops_arguments: Severity | None = None  # named ones, and those beyond `max_args`
    max_args: int | None = None
    arguments_help: str = ""
    needs_class: bool = False  # for every workflow
    instance_needs_class: bool = True
    client_refuses_deduplication_in_partitions: bool = False


_RUNTIMES = {
    "python": _Runtime("Python"),
    "typescript": _Runtime("TypeScript", Severity.ERROR, None, "put a map into `args`"),
    "java": _Runtime(
        "Java",
        Severity.ERROR,
        None,
        "give each parameter its value in `args`, in order",
        needs_class=True,
        client_refuses_deduplication_in_partitions=True,
    ),
    "go": _Runtime(
        "Go",
        Severity.WARNING,
        1,
        "only a workflow that takes `PortableWorkflowArgs` gets all of them",
        instance_needs_class=False,
        client_refuses_deduplication_in_partitions=True,
    ),
    "rust": _Runtime("Rust", client_refuses_deduplication_in_partitions=True),
}


def check_expansion(expansion: Expansion, chosen: Chosen | None, uniqueness: Uniqueness) -> list[Diagnostic]:
    """Every problem of the manifest's meaning but ids that clash, which `uniqueness` tells of at the end.

    What is wrong with a default is blamed on the default, once, however many workflows take it.
    """
    manifest, found = expansion.manifest, expansion.findings
    for diagnostic in uniqueness.add_manifest(manifest):
        found.add(diagnostic)
    constants = {option: value for option, value in manifest.defaults.items() if not contains_mark(value)}
    for diagnostic in _lint_values(constants, ("defaults",)):
        found.add(diagnostic)
    if not expansion.too_many:
        with suppress(Enough):
            _lint_workflows(expansion, chosen, uniqueness)
        uniqueness.add_expansion(expansion)
    return found.diagnostics()


def _lint_workflows(expansion: Expansion, chosen: Chosen | None, uniqueness: Uniqueness) -> None:
    for index in range(len(expansion.manifest.entries)):
        linter = _EntryLinter(expansion, index)
        if linter.one:
            for spec in expansion.entry_specs(index, expansion.findings.add):
                uniqueness.add_spec(spec)
                if chosen is None or chosen(expansion, spec):
                    linter.lint(spec)
            continue
        for block in expansion.entry_blocks(index, _AT_ONCE, expansion.findings.add):
            uniqueness.add_block(block)
            if chosen is None:
                linter.lint_block(block)
            elif 1 in (mask := bytes(chosen(expansion, spec) for spec in block)):
                linter.lint_block(block.pick(mask))


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

    def lint_block(self, block: SpecBlock) -> None:
        signs = [sign(block.columns[field]) for field, sign in self._signs]
        signatures = [*zip(*signs, strict=True)] if signs else [()] * len(block)
        if not self._good.issuperset(signatures) or not self._has_good_inputs(block):
            for spec, signature in zip(block, signatures, strict=True):
                self.lint(spec, signature)

    def _has_good_inputs(self, block: SpecBlock) -> bool:
        """Whether there is surely nothing to say of any workflow's arguments, told by columns."""
        if not self._inputs_vary:
            return True
        largest = sum(max(map(_json_size, distinct(block.columns[field]))) for field in ("args", "kwargs"))
        contracts = any(map(self._catalog.has_contract, distinct(block.columns["workflow"])))
        return largest + len(_ENVELOPE) <= self._limit and not contracts

    def lint(self, spec: WorkflowSpec, signature: tuple[Any, ...] = ()) -> None:
        known = signature in self._good
        if not known:
            problems = [*lint_spec(spec), *self._catalog.check_name(spec)]
            if not problems:
                self._good.add(signature)
            self._tell(spec, problems)
        if not known or self._inputs_vary:
            if input_size(spec) > self._limit:
                self._tell(spec, [_too_large(spec, self._limit)])
            if self._catalog.has_contract(spec.workflow):
                self._tell(spec, self._catalog.check(spec))

    def _tell(self, spec: WorkflowSpec, problems: Iterable[Diagnostic]) -> None:
        label = None if self.one else partial(self._expansion.label, spec)
        for problem in problems:
            blamed = _blame(self._expansion, spec, problem)
            self._expansion.findings.add(blamed, label if blamed.path[0] == "workflows" else None)


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
    **dict.fromkeys(("authenticated_user", "assumed_role", "application", "instance_name"), _sign_texts),
    "args": _sign_lengths,
    "kwargs": _sign_presence,
}


def _json_size(value: Any) -> int:
    return len(encode_json(value))


def input_size(spec: WorkflowSpec) -> int:
    """The bytes of the arguments as DBOS stores them."""
    return _json_size(spec.args) + _json_size(spec.kwargs) + len(_ENVELOPE)


def _too_large(spec: WorkflowSpec, limit: int) -> Diagnostic:
    option = "kwargs" if _json_size(spec.kwargs) > _json_size(spec.args) else "args"
    return make_diagnostic(
        "input-too-large",
        f"the arguments are {input_size(spec):,} bytes of JSON, more than the {limit:,} that are allowed",
        ("workflows", spec.entry, option),
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
        related = (_here(other, expansion.manifest.document.index),)
    return replace(diagnostic, path=path, related=related)


def find_origin(expansion: Expansion, workflow: str | None, path: Path) -> Path:
    """Where the option that `path` leads to is written; the whole entry when it is written nowhere."""
    manifest = expansion.manifest
    _, index, option, *rest = path
    assert isinstance(index, int)
    if option in manifest.entries[index]:
        return path
    if workflow is not None and option in expansion.catalog.options(workflow):
        return ("catalog", workflow, option, *rest)
    if option in manifest.defaults:
        return ("defaults", option, *rest)
    if option in ("application", "runtime"):
        return (option,)
    return path[:2]


def _here(path: Path, document: int = 0) -> Related:
    return Related(f"`{path[-1]}` is here", path, document=document)


def lint_spec(spec: WorkflowSpec) -> Iterator[Diagnostic]:
    """What is wrong with one workflow; the paths say the entry and the option.

    Source: DBOS.md §1 for the options, docs/compatibility.md for what a runtime's SDK makes of them.
    """
    path = ("workflows", spec.entry)
    yield from _lint_values(spec._asdict(), path)
    yield from _lint_times(spec, path)
    yield from _lint_deduplication(spec, path)
    if (runtime := _RUNTIMES.get(spec.runtime or "")) is not None:
        yield from _lint_arguments(spec, path, runtime)
        yield from _lint_class_name(spec, path, runtime)


def _lint_values(options: Mapping[str, Any], path: Path) -> Iterator[Diagnostic]:
    """The rules that need to see one option only."""
    for option in _TEXTS:
        text = options.get(option)
        if isinstance(text, str) and (problem := _text_problem(option, text)):
            yield make_diagnostic("invalid-text", f"`{option}` {problem}", (*path, option))
    queue = options.get("queue")
    if queue is not None and queue.startswith(RESERVED_QUEUE_PREFIX):
        yield make_diagnostic(
            "reserved-queue",
            f"the queue `{queue}` is DBOS's own, as all names that start with `{RESERVED_QUEUE_PREFIX}`",
            (*path, "queue"),
            help="name a queue of your application",
        )
    if PROVENANCE_KEY in (options.get("attributes") or ()):
        yield make_diagnostic(
            "reserved-attribute",
            f"the attribute `{PROVENANCE_KEY}` is written by apply",
            (*path, "attributes", PROVENANCE_KEY),
            target=Target.KEY,
            help="give the attribute another name",
        )
    for index, role in enumerate(options.get("authenticated_roles") or ()):
        if not role.strip():
            yield make_diagnostic(
                "invalid-text",
                f"role {index + 1} of `authenticated_roles` is blank",
                (*path, "authenticated_roles", index),
            )


def _text_problem(option: str, text: str) -> str | None:
    if not text.strip():
        return "is blank"
    if option in _NAMES:
        too_long = len(text) > MAX_NAME_CHARACTERS
        return f"has {len(text):,} characters; DBOS keeps {MAX_NAME_CHARACTERS}" if too_long else None
    limit = MAX_ID_BYTES if option == "id" else MAX_TEXT_BYTES
    if len(text) * 4 > limit and (size := len(text.encode())) > limit:
        return f"is {size:,} bytes long in UTF-8; at most {limit:,} fit into the database's index"
    return None


def _lint_times(spec: WorkflowSpec, path: Path) -> Iterator[Diagnostic]:
    if spec.timeout_ms is not None and spec.deadline_ms is not None:
        yield _exclusive("timeout", "deadline", path)
    if spec.delay_ms is not None and spec.not_before_ms is not None:
        yield _exclusive("delay", "not_before", path)


def _exclusive(first: str, second: str, path: Path) -> Diagnostic:
    return make_diagnostic(
        "exclusive-options",
        f"`{first}` and `{second}` exclude each other",
        (*path, second),
        help="keep one of them; an option set to `null` takes a default away",
        related=(_here((*path, first)),),
    )


def _lint_deduplication(spec: WorkflowSpec, path: Path) -> Iterator[Diagnostic]:
    if spec.deduplication_id is None:
        if spec.duplication_policy != "reject":
            yield make_diagnostic(
                "missing-deduplication-id",
                f"`duplication_policy: {spec.duplication_policy}` does nothing without a `deduplication_id`",
                (*path, "duplication_policy"),
                help="add a `deduplication_id`, or leave the policy out",
            )
    elif spec.queue_partition_key is not None:
        runtime = _RUNTIMES.get(spec.runtime or "")
        message = "`deduplication_id` counts in the whole queue, not in each partition"
        if runtime is not None and runtime.client_refuses_deduplication_in_partitions:
            message += f"; the {runtime.sdk} client refuses the two together"
        yield make_diagnostic(
            "deduplication-with-partition-key",
            message,
            (*path, "deduplication_id"),
            help="put the partition's key into the deduplication id as well",
            related=(_here((*path, "queue_partition_key")),),
        )


def _lint_arguments(spec: WorkflowSpec, path: Path, runtime: _Runtime) -> Iterator[Diagnostic]:
    if runtime.drops_arguments is None:
        return
    if spec.kwargs:
        yield make_diagnostic(
            "runtime-arguments",
            f"the {runtime.sdk} SDK does not pass `kwargs` on to a workflow",
            (*path, "kwargs"),
            severity=runtime.drops_arguments,
            help=runtime.arguments_help,
        )
    if runtime.max_args is not None and len(spec.args) > runtime.max_args:
        yield make_diagnostic(
            "runtime-arguments",
            f"the {runtime.sdk} SDK passes one argument on, and `args` has {len(spec.args)}",
            (*path, "args", runtime.max_args),
            severity=runtime.drops_arguments,
            help=runtime.arguments_help,
        )


def _lint_class_name(spec: WorkflowSpec, path: Path, runtime: _Runtime) -> Iterator[Diagnostic]:
    if runtime.needs_class and spec.class_name is None:
        yield make_diagnostic(
            "runtime-class-name",
            f"the {runtime.sdk} SDK does not find `{spec.workflow}` without a `class_name`",
            (*path, "class_name"),
            help="write the class's full name, or the name its @WorkflowClassName gives",
        )
    elif runtime.instance_needs_class and spec.instance_name is not None and spec.class_name is None:
        yield make_diagnostic(
            "runtime-class-name",
            f"the {runtime.sdk} SDK does not find an instance without its `class_name`",
            (*path, "instance_name"),
            help="add the `class_name` that the application registers",
        )
    if spec.runtime == "go" and spec.class_name is not None:
        yield make_diagnostic(
            "runtime-class-name",
            "the Go SDK does not read `class_name`",
            (*path, "class_name"),
            severity=Severity.WARNING,
            help="leave it out: a Go workflow is found by its name alone",
        )
