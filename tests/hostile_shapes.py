"""Small manifests that would take minutes or gigabytes if only parts of them were limited, not their sum.

`SHAPES` are known shapes: a new one found anywhere is added here. `random_shape` combines hostile parts.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

Files = dict[str, str]  # by name; all of them are read
MAX_BYTES = 1_000_000  # of all files of a shape

YAML_HEAD = "version: 1\nname: h\ndefaults: {queue: q, workflow: f}\n"
HEAD: dict[str, Any] = {"version": 1, "name": "h", "defaults": {"queue": "q", "workflow": "f"}}


def manifest(*workflows: Mapping[str, Any], **others: Any) -> Files:
    """Return a manifest of some entries."""
    return {"jobs.yaml": json.dumps({**HEAD, **others, "workflows": workflows})}


def range_of(stop: object) -> dict[str, Any]:
    return {"range": {"stop": stop}}


def many(name: str, count: int, of: object) -> dict[str, Any]:
    """Return axes `name0`, `name1` and so on, all with the same values."""
    return {f"{name}{number}": of for number in range(count)}


def doubling(depth: int, keyword: str, leaf: object, name: str = "a") -> dict[str, Any]:
    """Return a contract in which each of `depth` schemas refers twice to the next."""
    schemas: dict[str, Any] = {
        f"{name}{level}": {keyword: [{"$ref": f"#/$defs/{name}{level + 1}"}] * 2} for level in range(depth)
    }
    schemas[f"{name}{depth}"] = leaf
    return {"$ref": f"#/$defs/{name}0", "$defs": schemas}


def contract(schema: object, args: object = (), part: str = "args") -> Files:
    """Return a manifest with one workflow and a contract of its arguments."""
    return manifest({"id": "x", part: args}, catalog={"f": {part: schema}})


def aliases(depth: int, width: int, where: str) -> Files:
    """Return a manifest whose anchors multiply: each of `depth` lists has the previous one `width` times."""
    lines = ["version: 1", "name: h", "defaults: {queue: q, workflow: f}", "vars:", "  a0: &a0 [x]"]
    lines += [f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth)]
    return {"jobs.yaml": "\n".join([*lines, where.replace("LAST", f"*a{depth - 1}")])}


def _entries_by_catalog(count: int) -> Files:
    entries = [{"id": f"x{number}", "matrix": {"a": ["w"]}} for number in range(count)]
    catalog = {f"w{number}": {"queue": "a"} for number in range(count)}
    return manifest(*entries, defaults={"queue": "q", "workflow": "${{ a }}"}, catalog=catalog)


def _similar_names(workflow: str, matrix: Mapping[str, Any], known: int) -> Files:
    catalog = {f"workflow_{number:05d}_name_{'ab' * 10}": {} for number in range(known)}
    entry = {"id": "x${{ i | str }}", "workflow": workflow, "matrix": matrix}
    return manifest(entry, defaults={"queue": "q"}, catalog=catalog)


def _long_text(*workflows: Mapping[str, Any], size: int = 900_000, **others: Any) -> Files:
    return manifest(*workflows, vars={"big": "x" * size}, **others)


def _aliased_text(variable: str) -> Files:
    entries = "".join(f"- {{id: x{number}, args: [*k]}}\n" for number in range(18_000))
    return {"jobs.yaml": f"{YAML_HEAD}vars: {{{variable}}}\nworkflows:\n{entries}"}


def _rules(count: int, kind: str) -> Files:
    axes = many("a", 8, [*range(5)])
    rules = [{f"a{(n * 3) % 8}": n % 5, f"a{(n * 7 + 1) % 8}": n % 3} for n in range(count)]
    if kind == "include":
        rules = [{**rule, "extra": number} for number, rule in enumerate(rules)]
    id = "".join(f"-${{{{ {axis} }}}}" for axis in axes)
    return manifest({"id": f"x{id}", "matrix": {**axes, kind: rules}})


SHAPES: dict[str, Callable[[], Files]] = {
    "contract that doubles, valid": lambda: contract(doubling(40, "allOf", {"type": "array"})),
    "contract that doubles, invalid": lambda: contract(doubling(40, "anyOf", {"type": "string"})),
    "contract that doubles by oneOf": lambda: contract(doubling(40, "oneOf", {"type": "string"})),
    "contract that doubles under not": lambda: contract(
        {"not": doubling(40, "allOf", {"type": "array"})["$ref"], **doubling(40, "allOf", {"type": "array"})}
    ),
    "contract with 4 million errors": lambda: contract(doubling(22, "allOf", {"type": "string"})),
    "contract with an error for each of many items": lambda: contract(
        {"items": doubling(8, "allOf", {"type": "string"})["$ref"], "$defs": {}}
        | {"items": {"$ref": "#/$defs/a0"}, "$defs": doubling(8, "allOf", {"type": "string"})["$defs"]},
        [*range(50_000)],
    ),
    "contract of keyword arguments that doubles": lambda: contract(
        doubling(40, "allOf", {"type": "object"}), {"a": 1}, "kwargs"
    ),
    "contract whose unique items are many": lambda: contract(
        {"items": {"uniqueItems": True}}, [[[number] for number in range(60_000)]]
    ),
    "contract with nested patterns": lambda: contract(
        {"items": {"pattern": "^(a|a)*(a|a)*(a|a)*$"}}, ["a" * 400_000 + "b"] * 2
    ),
    "contract with a pattern of many states": lambda: contract(
        {"items": {"pattern": "(\\w{100}|a){50}$"}}, ["a" * 800_000]
    ),
    "many contracts with large patterns": lambda: manifest(
        *({"id": f"x{n}", "workflow": f"f{n}"} for n in range(2_000)),
        catalog={f"f{n}": {"args": {"items": {"pattern": f"\\w{{200}}{n}"}}} for n in range(2_000)},
    ),
    "contract that many workflows break": lambda: manifest(
        {"id": "x${{ a }}", "args": ["${{ a }}"] * 50, "matrix": {"a": range_of(100_000)}},
        catalog={"f": {"args": {"items": {"type": "string"}}}},
    ),
    "contract that is slow for many workflows": lambda: manifest(
        {"id": "x${{ a }}", "args": ["${{ a }}"], "matrix": {"a": range_of(100_000)}},
        catalog={"f": {"args": doubling(12, "allOf", {"type": "array"})}},
    ),
    "names that are similar to many of the catalog": lambda: _similar_names(
        "workflow_${{ i | pad(7) }}_nam_" + "ba" * 10, {"i": range_of(100_000)}, 300
    ),
    "long names that are similar": lambda: manifest(
        *({"id": f"x{n}", "workflow": "w" * 900 + f"{n}"} for n in range(400)),
        catalog={"w" * 900 + f"x{n}": {} for n in range(400)},
    ),
    "unknown variables next to many known": lambda: manifest(
        *({"id": f"x{n}-${{{{ vars.name_{n}_abcdef }}}}", "args": []} for n in range(8_000)),
        vars={f"name_{n}_abcdeg": 1 for n in range(8_000)},
    ),
    "unknown keys of many entries": lambda: manifest(
        *({"id": f"x{n}", "argz": 1, "kwargz": 2, "quue": 3, "deduplication_idd": 4} for n in range(12_000))
    ),
    "unknown keys of one entry": lambda: manifest(
        {"id": "x", **{f"deduplication_ib{n}": n for n in range(30_000)}}
    ),
    "csv file of 160,000 columns": lambda: {
        **manifest({"id": "x${{ a.a }}", "matrix": {"a": {"file": {"path": "r.csv"}}}}),
        "r.csv": ",".join(f"{number:x}" for number in range(160_000)),
    },
    "csv file of many columns and rows": lambda: {
        **manifest(
            {"id": "x${{ a.c0 }}", "args": ["${{ a }}"], "matrix": {"a": {"file": {"path": "r.csv"}}}}
        ),
        "r.csv": "\n".join(
            [",".join(f"c{n}" for n in range(900)), *[f"{n}" + "," * 899 for n in range(980)]]
        ),
    },
    "csv file that many entries read": lambda: {
        **manifest(
            *(
                {
                    "id": f"x{n}-${{{{ a.i }}}}",
                    "matrix": {"a": {"file": {"path": "r.csv", "select": {"i": "none"}}}},
                }
                for n in range(2_000)
            )
        ),
        "r.csv": "i\n" + "\n".join(map(str, range(100_000))),
    },
    "entries and a catalog, compiled for each": lambda: _entries_by_catalog(1_500),
    "ids that occur twice with large arguments": lambda: _long_text(
        {
            "id": "x${{ b | str }}${{ a | replace('x','') | replace('y','') }}",
            "args": ["${{ vars.big }}${{ b | str }}"],
            "matrix": {"a": ["x", "y"], "b": range_of(3_000)},
        }
    ),
    "deduplication ids that all occur twice": lambda: manifest(
        *(
            {"id": f"{n}-${{{{ a }}}}", "deduplication_id": "d${{ a }}", "matrix": {"a": range_of(100_000)}}
            for n in range(5)
        ),
        limits={"max_workflows": 1_000_000},
    ),
    "limit of its own": lambda: manifest(
        {"id": "x${{ a | str }}", "matrix": {"a": range_of(199_999_999)}}, limits={"max_workflows": 10**9}
    ),
    "many entries below the limit": lambda: manifest(
        *({"id": f"x{n}-${{{{ a }}}}", "matrix": {"a": range_of(900_000)}} for n in range(100)),
        limits={"max_workflows": 10**9},
    ),
    "many manifests below the limit": lambda: {
        f"{n}.yaml": json.dumps(
            {
                **HEAD,
                "name": f"h{n}",
                "workflows": [
                    {"id": f"{n}-${{{{ a }}}}", "args": ["${{ a }}"], "matrix": {"a": range_of(99_999)}}
                ],
            }
        )
        for n in range(4_000)
    },
    "count of 6,000 digits": lambda: manifest(
        {"id": "x", "matrix": many("a", 10, {"range": {"stop": 1e300, "step": 1e-300}})}
    ),
    "3,000 axes of one value": lambda: manifest(
        {"id": "x" + "".join(f"${{{{ a{n} }}}}" for n in range(3_000)), "matrix": many("a", 3_000, ["x"])}
    ),
    "100 axes and many workflows": lambda: manifest(
        {
            "id": "x${{ i }}" + "".join(f"${{{{ a{n} }}}}" for n in range(99)),
            "matrix": {"i": range_of(99_999), **many("a", 99, ["x"])},
        }
    ),
    "arguments of fifty workflows at once": lambda: _long_text(
        {
            "id": "x${{ b | str }}",
            "args": ["${{ vars.big }}${{ b | str }}"] * 50,
            "matrix": {"b": range_of(500)},
        }
    ),
    "generated ids of large arguments": lambda: _long_text(
        {"args": ["${{ vars.big }}", "${{ b }}"], "matrix": {"b": range_of(99_999)}}
    ),
    "large constant arguments of many entries": lambda: _long_text(
        *({"id": f"x{n}", "args": ["${{ vars.big }}"]} for n in range(3_000)), size=700_000
    ),
    "large defaults of many entries": lambda: manifest(
        *({"id": f"x{n}", "priority": "${{ 1 }}"} for n in range(8_000)),
        defaults={
            "queue": "q",
            "workflow": "f",
            "kwargs": {f"k{n}": f"${{{{ {n} }}}}" for n in range(20_000)},
        },
    ),
    "filters that grow a text": lambda: _long_text(
        {
            "id": "x${{ a }}",
            "args": ["${{ vars.big | replace('x','yy') | replace('yy','x') }}" + "${{ a }}"],
            "matrix": {"a": range_of(99_999)},
        },
        size=400_000,
    ),
    "many expressions": lambda: manifest(
        {"id": "x${{ a }}", "args": ["${{ a }}"] * 5_000, "matrix": {"a": range_of(99_999)}}
    ),
    "many exclude rules": lambda: _rules(8_000, "exclude"),
    "many include rules": lambda: _rules(8_000, "include"),
    "cron schedules": lambda: manifest(
        *(
            {
                "id": f"x{n}-${{{{ a }}}}",
                "matrix": {
                    "a": {"cron": {"schedule": "0 0 29 2 1", "start": "2000-01-01", "end": "2099-01-01"}}
                },
            }
            for n in range(4_000)
        )
    ),
    "date ranges in a zone": lambda: manifest(
        *(
            {
                "id": f"x{n}-${{{{ a }}}}",
                "matrix": {
                    "a": {
                        "date_range": {
                            "start": "2000-01-01T00:00:00",
                            "end": "2002-01-01T00:00:00",
                            "step": "15m",
                            "timezone": "Europe/Berlin",
                        }
                    }
                },
            }
            for n in range(100)
        )
    ),
    "aliases in arguments": lambda: aliases(6, 10, "workflows:\n- {id: x, args: [LAST]}"),
    "aliases in arguments of many entries": lambda: aliases(
        4, 10, "workflows:\n" + "\n".join(f"- {{id: x{n}, args: [LAST]}}" for n in range(900))
    ),
    "aliases in arguments of many workflows": lambda: aliases(
        6,
        10,
        "workflows:\n- {id: 'x${{ a }}', args: [LAST, '${{ a }}'], matrix: {a: {range: {stop: 99999}}}}",
    ),
    "aliases in many files": lambda: {
        f"{n}.yaml": aliases(6, 10, "workflows:\n- {id: x, args: [LAST]}")["jobs.yaml"] for n in range(1_500)
    },
    "aliases of a schema error": lambda: aliases(6, 10, "workflows:\n- {id: x, queue: [LAST]}"),
    "aliases of a contract": lambda: aliases(
        5, 10, "workflows:\n- {id: x}\ncatalog: {f: {args: {enum: [LAST], allOf: [{const: LAST}]}}}"
    ),
    "aliases of a long key": lambda: _aliased_text(f"? &k {'x' * 500_000}\n: 1"),
    "aliases of a long text": lambda: _aliased_text(f"k: &k {'x' * 500_000}"),
    "aliases of a text of many expressions": lambda: _aliased_text(f'k: &k "{"${{ 1 }}" * 50_000}"'),
    "a long schedule in many entries": lambda: manifest(
        *(
            {
                "id": f"{n}${{{{ a }}}}",
                "matrix": {
                    "a": {"cron": {"schedule": "${{ vars.s }}", "start": "2025-01-01", "end": "2026-01-01"}}
                },
            }
            for n in range(1_000)
        ),
        vars={"s": ",".join(["1"] * 200_000) + " * * * *"},
    ),
    "a variable of many expressions": lambda: manifest(
        *({"id": f"x{n}${{{{ a }}}}", "matrix": {"a": [1, 2]}} for n in range(5_000)),
        defaults={"queue": "q", "workflow": "f", "args": ["${{ a }}" * 50_000]},
    ),
    "errors on every line": lambda: {
        "jobs.yaml": "version: 1\nname: h\nworkflows:\n" + "- {id: 1, x: y}\n" * 60_000
    },
    "documents in one file": lambda: {
        "jobs.yaml": "---\nversion: 1\nname: h\nworkflows: [{id: x, workflow: f, queue: q}]\n" * 12_000
    },
    "deeply nested lists": lambda: {"jobs.yaml": "workflows: " + "[" * 400_000},
    "deeply nested json": lambda: {"jobs.json": '{"a":' * 150_000},
    "a number of a million digits": lambda: {
        "jobs.yaml": "version: 1\nname: h\nworkflows: [{id: x, args: [" + "1" * 990_000 + "]}]"
    },
    "escapes and quotation marks": lambda: {"jobs.yaml": 'version: "' + "\\u0041" * 160_000 + '"'},
    "unmarked names in long texts": lambda: manifest(
        {"id": "x${{ a }}", "args": ["{{ a }} $a " * 80_000], "matrix": {"a": [1, 2]}}
    ),
    "an id of 900,000 characters": lambda: manifest({"id": "x" * 900_000}, {"id": "x" * 1_000}),
    "many problems of large values": lambda: manifest(
        *({"id": f"x{n}", "queue": {"k": ["v" * 20] * 30}} for n in range(900))
    ),
}


class _Random:
    """Makes hostile parts of manifests; equal seeds make equal parts."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._scale = 1.0
        self._left = 0  # values that may still be nested
        self._has_unknown = False

    def shape(self) -> Files:
        """Return one or more manifests of random parts, MAX_BYTES at most."""
        if self._random.random() < 0.05:
            return self._random.choice([*SHAPES.values()])()
        for attempt in count():
            self._scale = 0.4**attempt  # until the files are small enough
            files = self._files()
            if sum(map(len, files.values())) <= MAX_BYTES:
                break
        return files

    def _files(self) -> Files:
        pick = self._random
        self._left = pick.choice([1_000, 10_000, 30_000])
        self._has_unknown = pick.random() < 0.1
        files = {"r.csv": self._csv()}
        for number in range(pick.choice([1, 1, 1, 2, 30])):
            made = self._manifest("h" if pick.random() < 0.1 else f"h{number}")
            files[f"{number}.yaml"] = json.dumps(made)
            if sum(map(len, files.values())) > MAX_BYTES:
                break
        return files

    def _manifest(self, name: str) -> dict[str, Any]:
        pick = self._random
        made: dict[str, Any] = {**HEAD, "name": name}
        if pick.random() < 0.5:
            made["limits"] = {
                "max_workflows": pick.choice([10**4, 10**6, 10**9]),
                "max_input_bytes": "100MiB",
            }
        made["vars"] = {f"v{n}": self._value(3) for n in range(self._size(100))}
        made["vars"]["big"] = "x" * self._size(300_000)
        if pick.random() < 0.6:
            made["catalog"] = {
                f"w{n}": {"args": self._schema(3), "queue": self._text(1)} if pick.random() < 0.7 else {}
                for n in range(self._size(300))
            }
            made["catalog"]["f"] = {pick.choice(["args", "kwargs"]): self._schema(4)}
        if pick.random() < 0.3:
            made["defaults"] = {"queue": self._text(2), "workflow": self._text(2), "kwargs": self._map(3)}
        made["workflows"] = [self._entry(number) for number in range(1 + self._size(500))]
        return made

    def _size(self, most: int) -> int:
        """Return a number that is mostly small, sometimes `most`."""
        most = max(1, int(most * self._scale))
        return int(most ** self._random.random()) if self._random.random() < 0.9 else most

    def _entry(self, number: int) -> dict[str, Any]:
        pick = self._random
        axes = {f"a{n}": self._axis() for n in range(pick.choice([0, 1, 1, 2, 3, 5, 20, 99]))}
        entry: dict[str, Any] = {"id": f"x{number}" + "".join(f"-${{{{ {axis} | str }}}}" for axis in axes)}
        if pick.random() < 0.2:
            entry["id"] = self._text(3)
        if axes:
            entry["matrix"] = dict(axes)
            for rules in ("exclude", "include"):
                if pick.random() < 0.2:
                    entry["matrix"][rules] = [
                        {pick.choice([*axes]): self._value(0), pick.choice([*axes]): pick.randrange(3)}
                        for _ in range(1 + self._size(500))
                    ]
        unknown = ("unknown", "argz") if self._has_unknown else ()
        for option in ("args", "kwargs", "queue", "workflow", "deduplication_id", *unknown):
            if pick.random() < 0.3:
                entry[option] = {"args": self._list, "kwargs": self._map}.get(option, self._text)(3)
        return entry

    def _axis(self) -> object:
        pick = self._random
        kind = pick.randrange(8)
        if kind < 3:
            return [self._value(1) for _ in range(1 + self._size(200))]
        if kind < 6:
            stop = pick.choice([1, 2, 3, 10, 100, 1_000, 9_999, 99_999, 999_999, 10**12, 1e300])
            return {"range": {"stop": stop, "step": pick.choice([1, 1, 1, 0.5, 1e-300])}}
        if kind == 6:
            schedule = pick.choice(["* * * * *", "0 0 29 2 *", "0 0 * * 1", "*/7 3 1-7 * 2", "0 0 31 2 *"])
            return {"cron": {"schedule": schedule, "start": "2000-01-01", "end": "2090-01-01"}}
        return {"file": {"path": "r.csv"}}

    def _csv(self) -> str:
        width = 1 + self._size(20_000)
        rows = self._size(max(1, 300_000 // width // 3))
        return "\n".join([",".join(f"c{n}" for n in range(width)), *([",".join(["1"] * width)] * rows)])

    def _text(self, depth: int) -> Any:
        pick = self._random
        parts = [
            "${{ a0 }}",
            "${{ a1 | str }}",
            "${{ vars.big }}",
            "${{ vars.v0 }}",
            "${{ vars.unknwon }}",
            "${{ a0 | replace('0', '0000000000') | replace('0', '0000000000') }}",
            "${{ vars.big | replace('x', 'xxxxxxxxxx') }}",
            "w1",
            "w" * self._size(500),
            "${{ ",
            "{{ a0 }}",
        ]
        return "".join(pick.choices(parts, k=1 + self._size(4 if depth < 3 else 20)))

    def _value(self, depth: int) -> Any:
        pick = self._random
        kind = pick.randrange(7)
        self._left -= 1
        if kind < 3 or depth <= 0 or self._left < 0:
            return pick.choice([pick.randrange(4), pick.randrange(10**6), "x", "2026-01-01", None, True, 1.5])
        if kind < 5:
            return self._text(depth)
        return self._list(depth) if kind == 5 else self._map(depth)

    def _list(self, depth: int) -> list[Any]:
        return [self._value(depth - 1) for _ in range(self._size(100 if depth > 2 else 10))]

    def _map(self, depth: int) -> dict[str, Any]:
        return {f"k{n}": self._value(depth - 1) for n in range(self._size(100 if depth > 2 else 10))}

    def _schema(self, depth: int) -> Any:
        pick = self._random
        keyword = pick.choice(["allOf", "anyOf", "oneOf"])
        leaf: Any = {"type": pick.choice(["array", "object", "string", "number"])}
        kind = pick.randrange(7)
        self._left -= 1
        if kind == 0 or depth <= 0 or self._left < 0:
            return leaf
        if kind == 1:
            return doubling(pick.choice([3, 10, 15, 20, 25, 40, 300]), keyword, leaf)
        if kind == 2:
            return {
                "items": {"pattern": pick.choice(["^(a|a)*$", "(\\w{50}|x){20}$", "^(x+)+y", "[", "x{1000}"])}
            }
        if kind == 3:
            return {keyword: [self._schema(depth - 1) for _ in range(1 + self._size(30))]}
        if kind == 4:
            inner = self._schema(depth - 1)
            return {"items": inner, "additionalProperties": inner, "uniqueItems": True}
        if kind == 5:
            return {"not": self._schema(depth - 1), "enum": [self._value(2) for _ in range(self._size(50))]}
        return {
            "$ref": pick.choice(["#", "r.csv", "0.yaml", "#/$defs/none", "#/properties"]),
            "properties": leaf,
        }


def random_shape(seed: int) -> Files:
    """Return the files of a random hostile shape; equal seeds return equal files."""
    return _Random(seed).shape()
