"""Check docstrings, sizes and types of the program against limits that may only become stricter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "dbos_manifest").rglob("*.py"))
}

ANY = re.compile(r"\bAny\b")

# Verbs that docstrings start with. Add a verb, but not another kind of word.
VERBS = set(
    re.findall(
        r"\w+",
        """
        accept acquire add adopt append apply assign begin bind build call cancel check choose classify
        clear close collect combine compare compile complete compute connect convert copy count create cut
        decide declare decode delete describe discard drop encode end enqueue enter escape estimate evaluate
        expand explain extend filter find finish flush fold follow forget format freeze generate give group
        guard handle hash hide hold identify ignore infer insert inspect join keep leave limit list load
        locate lock make map mark mask match measure merge move multiply name normalize open order pack
        parse pause pick place plan poll prepare print process propose prune query quote raise read rebind
        rebuild record reduce refuse register release remember remove rename render repeat replace report
        reset resolve restore resume retry return run save scan search select serialize set shorten show
        sign skip slice sort split start step stop store stream strip suggest sum summarize switch take test
        trace track translate try turn undo unpack update use validate verify wait warn work wrap write yield
        """,
    )
)

LINES_OF_A_MODULE = 320
LINES_OF_A_FUNCTION = 40  # without the docstring
PARAMETERS = 7
# How often each kind occurs in the program. Only ever lower a number.
AT_MOST = {
    "large modules": 0,
    "long functions": 1,
    "functions with many parameters": 0,
    "Any in signatures": 52,
    "type: ignore": 0,
    "untyped keyword arguments": 10,
}


class Function(NamedTuple):
    """A function or method of the program."""

    name: str  # dbos_manifest/core/units.py::parse_size
    node: ast.FunctionDef | ast.AsyncFunctionDef
    is_public: bool  # reachable by names without an underscore
    is_method: bool

    @property
    def is_property(self) -> bool:
        return any("property" in ast.unparse(decorator) for decorator in self.node.decorator_list)

    @property
    def lines(self) -> int:
        """Return the number of lines without the docstring."""
        first = self.node.body[1 if ast.get_docstring(self.node) and len(self.node.body) > 1 else 0]
        header = self.node.body[0].lineno - self.node.lineno
        return header + (self.node.end_lineno or 0) - first.lineno + 1

    @property
    def arguments(self) -> list[ast.arg]:
        """Return the parameters that callers pass by position or name."""
        arguments = self.node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return [argument for argument in named if argument.arg not in ("self", "cls")]

    @property
    def parameters(self) -> int:
        return len(self.arguments)

    @property
    def has_untyped_keywords(self) -> bool:
        keywords = self.node.args.kwarg
        return bool(
            keywords and keywords.annotation and ast.unparse(keywords.annotation) in ("Any", "object")
        )

    def count_any(self) -> int:
        """Count `Any` in the annotations of parameters and result."""
        extra = [argument for argument in (self.node.args.vararg, self.node.args.kwarg) if argument]
        annotations = [argument.annotation for argument in (*self.arguments, *extra)]
        return sum(
            len(ANY.findall(ast.unparse(annotation)))
            for annotation in (*annotations, self.node.returns)
            if annotation is not None
        )


def walk_functions(node: ast.AST, name: str, is_public: bool = True) -> Iterator[Function]:
    """Yield the functions and methods below a node, nested ones included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            public = is_public and not child.name.startswith("_")
            yield Function(f"{name}{child.name}", child, public, isinstance(node, ast.ClassDef))
            yield from walk_functions(child, f"{name}{child.name}.", False)
        elif isinstance(child, ast.ClassDef):
            public = is_public and not child.name.startswith("_")
            yield from walk_functions(child, f"{name}{child.name}.", public)
        else:
            yield from walk_functions(child, name, is_public)


FUNCTIONS = [
    function
    for path, source in SOURCES.items()
    for function in walk_functions(ast.parse(source), f"{path}::")
]


def find_docstring_problems(functions: list[Function]) -> list[str]:
    """Return the public functions and methods whose docstring is missing or does not start with a verb.

    Methods may go without a docstring, and properties may start with a noun.
    """
    problems = []
    for function in functions:
        docstring = ast.get_docstring(function.node)
        if not function.is_public or function.is_property:
            continue
        if docstring is None:
            if not function.is_method:
                problems.append(f"{function.name}: has no docstring")
        elif (first := docstring.split()[0].strip(",.:").lower()) not in VERBS:
            problems.append(f"{function.name}: starts with `{first}`, expected a verb such as `return`")
    return problems


@pytest.mark.parametrize("path", SOURCES)
def test_public_docstrings_start_with_a_verb(path: str) -> None:
    functions = [function for function in FUNCTIONS if function.name.startswith(f"{path}::")]
    assert find_docstring_problems(functions) == []


@pytest.mark.parametrize(
    ("source", "problems"),
    [
        ('def f():\n    """Return the sum."""', []),
        ('def f():\n    """The sum."""', ["m::f: starts with `the`, expected a verb such as `return`"]),
        ("def f(): pass", ["m::f: has no docstring"]),
        ("def _f(): pass", []),
        ("class A:\n    def f(self): pass", []),
        ('class A:\n    @property\n    def f(self):\n        """The sum."""', []),
    ],
)
def test_docstring_problems_are_found(source: str, problems: list[str]) -> None:
    assert find_docstring_problems([*walk_functions(ast.parse(source), "m::")]) == problems


def find_kinds(sources: dict[str, str]) -> dict[str, list[str]]:
    """Return the places of each kind in `AT_MOST`."""
    found: dict[str, list[str]] = {kind: [] for kind in AT_MOST}
    for path, source in sources.items():
        if source.count("\n") > LINES_OF_A_MODULE:
            found["large modules"].append(path)
        found["type: ignore"] += [path] * source.count("# type: ignore")
        for function in walk_functions(ast.parse(source), f"{path}::"):
            if function.lines > LINES_OF_A_FUNCTION:
                found["long functions"].append(function.name)
            if function.parameters > PARAMETERS:
                found["functions with many parameters"].append(function.name)
            found["Any in signatures"] += [function.name] * function.count_any()
            if function.has_untyped_keywords:
                found["untyped keyword arguments"].append(function.name)
    return found


@pytest.mark.parametrize("kind", AT_MOST)
def test_program_has_at_most_so_many_of_each_kind(kind: str) -> None:
    found = find_kinds(SOURCES)[kind]
    assert len(found) <= AT_MOST[kind], found


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("\n" * 321, "large modules"),
        ("def f():\n" + "    x\n" * 40, "long functions"),
        ("def f(a, b, c, d, e, f, *, g, h): pass", "functions with many parameters"),
        ("def f(a: list[Any]): pass", "Any in signatures"),
        ("def f() -> Any: pass", "Any in signatures"),
        ("x = 1  # type: ignore", "type: ignore"),
        ("def f(**options: object): pass", "untyped keyword arguments"),
    ],
)
def test_each_kind_is_found(source: str, kind: str) -> None:
    found = find_kinds({"m": source})
    assert [name for name, places in found.items() if places] == [kind]


TESTS = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "tests").rglob("*.py"))
}
WAITS = "tests/waiting.py"  # waits for conditions, so it sleeps between two checks


def find_calls(tree: ast.Module, *names: str) -> list[ast.Call]:
    """Return the calls of functions or methods with these names, such as `setattr` or `time.sleep`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func).endswith(names)]


def test_tests_patch_no_private_name() -> None:
    patched = [
        (path, argument.value)
        for path, tree in TESTS.items()
        for call in find_calls(tree, ".setattr", "patch", "patch.object")
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    assert [(path, name) for path, name in patched if name.rpartition(".")[2].startswith("_")] == []


def test_tests_wait_for_conditions_instead_of_sleeping() -> None:
    sleeping = [path for path, tree in TESTS.items() if find_calls(tree, "time.sleep")]
    assert sleeping == [WAITS]
