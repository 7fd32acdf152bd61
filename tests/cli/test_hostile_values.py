"""Test that no value from any source controls a terminal, a CI runner or a page that shows an output."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import yaml
from cli_harness import Cli, Run, execute
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from output_syntax import PARSERS, check_coloured_log, check_log

from dbos_manifest.cli.main import cli

FRAGMENTS = [
    "::stop-commands::x", "\n::stop-commands::x", "\r::add-mask::x",
    "::set-output name=plan;::x", " ::error::x", "\x85::debug::x",
    "##[add-mask]x", "##[group]x", "##vso[task.setvariable variable=x]y", "##teamcity[buildStop]", "#",
    "\x1b[2J", "\x1b[8m", "\x1b]0;title\x07", "\x9b2J", "\x08", "\x7f", "\u202e", "\u2028::notice::x",
    "\u200b", "\U000e0041", "\nFORGED", "\x1b[0Ksection_start:1:x\r\x1b[0K", "\n/close", "@octo/team",
    "::error file=forged::x", "\n::error file=forged::x", "#123", "!7", "&8", "%9", "octo@example.com",
    "=1+1", "+1", "-1", "@sum(1)",
    "<img src=x>", "<script>", "</details>", "</code>", "<!--", "]]>", "&lt;", "&#64;octo", "|", "`", "``` ",
    "[a](https://example.com)", "https://example.com", "www.example.com", "**", "_", "\\", '"', "'", "{", "}",
    "%0A", "%25", ",", ":", " ", "\t", "é", "漢", "😀", "a",
]  # fmt: skip
VALUES = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=6).map("".join)


def commands() -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield every command with its formats; none for a command without -o."""
    ctx = click.Context(cli)

    def walk(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            if isinstance(command, click.Group):
                yield from walk(command, (*words, name))
                continue
            output = [param for param in command.params if "-o" in param.opts]
            yield (
                (*words, name),
                [item.value for one in output for item in one.type.shell_complete(ctx, one, "")],
            )

    return walk(cli, ())


# the other arguments of each command; `PATH`, `URL` and `ID` are replaced
DATABASE = ["--database-url", "URL"]
ARGUMENTS = {
    ("validate",): ["PATH"],
    ("plan",): ["PATH", "--show-values", "--verify", *DATABASE],
    ("apply",): ["PATH", *DATABASE],
    ("status",): ["PATH", "--list", "--by", "workflow", "--show-values", *DATABASE],
    ("history",): DATABASE,
    ("expand",): ["PATH"],
    ("explain",): ["PATH", "ID", *DATABASE],
    ("doctor",): DATABASE,
    ("init",): ["PATH.folder"],
    ("schema",): [],
    ("completion",): ["bash"],
    ("lock", "check"): ["PATH"],
    ("lock", "format"): ["PATH"],
    ("lock", "prune"): ["PATH", *DATABASE],
    ("lock", "rebind"): ["PATH", *DATABASE],
    ("lock", "rebuild"): ["PATH", *DATABASE],
    ("lock", "rename"): ["PATH"],
    ("lock", "verify"): ["PATH", *DATABASE],
}
COMMANDS = dict(commands())
WRITES = {
    ("apply",),
    ("init",),
    ("lock", "format"),
    ("lock", "rebind"),
    ("lock", "rebuild"),
    ("lock", "rename"),
}


def test_every_command_and_format_is_tested() -> None:
    assert COMMANDS.keys() == ARGUMENTS.keys()
    assert {format for formats in COMMANDS.values() for format in formats} == PARSERS.keys()


@pytest.fixture
def checked(run: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs a command as in a pipeline and checks all that it prints."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    def run_checked(*words: str) -> Run:
        done = run(*words)
        assert done.code != 70, done.err
        check = check_coloured_log if "--color=always" in words else check_log
        check(done.out)
        check(done.err)
        format = words[words.index("-o") + 1] if "-o" in words else "text"
        if done.out and format in PARSERS:
            PARSERS[format](done.out)
        return done

    return run_checked


def run_commands(checked: Cli, path: str, url: str, workflow_id: str = "a", *, writing: bool) -> None:
    """Run all commands that read, or all that write, in every format, with colours and into files."""
    folder = Path(path).parent
    known = {"PATH": path, "URL": url, "ID": workflow_id, "PATH.folder": str(folder / "new")}
    for name, formats in COMMANDS.items():
        if (name in WRITES) != writing:
            continue
        words = [*name, *(known.get(word, word) for word in ARGUMENTS[name])]
        for format in formats:
            checked(*words, "-o", format)
        checked(*words, "--color=always")
        if name in (("validate",), ("plan",), ("apply",), ("status",)):
            files = {format: folder / f"result.{format}" for format in formats}
            checked(*words, *(word for pair in files.items() for word in ("-o", "=".join(map(str, pair)))))
            for format, file in files.items():
                if file.exists() and (text := file.read_text(encoding="utf-8")):
                    check_log(text)
                    PARSERS[format](text)
                file.unlink(missing_ok=True)


ROOT = Path(__file__).parent.parent.parent
ATTEMPTS = itertools.count()


@pytest.fixture
def fresh(tmp_path: Path, sqlite_url: str) -> Callable[[str], tuple[Path, str]]:
    """Return a function that makes an empty folder and a new copy of a database."""
    original = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()

    def make(name: str = "x") -> tuple[Path, str]:
        base = tmp_path / str(next(ATTEMPTS))
        folder = base / name
        folder.mkdir(parents=True)
        (base / "jobs.sqlite").write_bytes(original)
        return folder, f"sqlite:///{base / 'jobs.sqlite'}"

    return make


def write_manifest(folder: Path, *entries: dict[str, object], **fields: object) -> str:
    document = {
        "version": 1,
        "name": "jobs",
        "defaults": {"queue": "q"},
        "workflows": list(entries),
        **fields,
    }
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return str(path)


Test = Callable[..., None]


def hostile(test: Test) -> Test:
    """Run a test with the fragments in three texts, and with random ones."""
    test = given(value=VALUES)(test)
    for number in (0, 1, 2):
        test = example(value="".join(FRAGMENTS[number::3]))(test)
    health = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=2, deadline=None, suppress_health_check=health)(test)


Fresh = Callable[..., tuple[Path, str]]


@hostile
def test_values_of_a_manifest(checked: Cli, fresh: Fresh, value: str) -> None:
    folder, url = fresh()
    entry = {
        "id": value,
        "name": value,
        "workflow": value,
        "args": [value],
        "kwargs": {value: value},
        "attributes": {value: value},
        "matrix": {"a": [value]},
    }
    path = write_manifest(folder, entry, vars={"v": value})
    assert checked("validate", path).code == 0
    run_commands(checked, path, url, value, writing=False)
    run_commands(checked, path, url, value, writing=True)
    write_manifest(folder, {**entry, "args": [1]}, name=f"x{value}")  # drift, and another name
    run_commands(checked, path, url, value, writing=False)
    run_commands(checked, path, url, value, writing=True)


def test_each_fragment_of_a_manifest(checked: Cli, fresh: Fresh) -> None:
    """As the whole of an ID, so that it begins a line and nothing of it is cut."""
    folder, url = fresh()
    ids = [text for text in dict.fromkeys(FRAGMENTS) if text.strip() == text]
    path = write_manifest(folder, *({"id": text, "workflow": text, "queue": "q"} for text in ids))
    assert checked("validate", path).code == 0
    run_commands(checked, path, url, ids[0], writing=False)
    assert checked("apply", path, "--database-url", url).code == 0
    run_commands(checked, path, url, ids[0], writing=False)


@hostile
def test_options_of_a_manifest(checked: Cli, fresh: Fresh, value: str) -> None:
    """Each option that the schema lists, whether the value is valid or not."""
    folder, url = fresh()
    schema = json.loads((ROOT / "schemas" / "manifest.v1.schema.json").read_text(encoding="utf-8"))
    entry = {"id": "a", "workflow": "f"}
    for option in schema["$defs"]["workflow"]["properties"]:
        for wrong in (value, [value], {value: value}):
            path = write_manifest(folder, {**entry, option: wrong})
            checked("validate", path, "-o", "markdown")
            if checked("validate", path).code == 0:
                checked("plan", path, "--database-url", url)
    for field in schema["properties"]:
        for wrong in (value, [value], {value: value}):
            path = write_manifest(folder, entry, **{field: wrong})
            checked("validate", path, "-o", "markdown")
            if checked("validate", path).code == 0:
                checked("plan", path, "--against", "lock", "-o", "markdown")


@hostile
def test_values_of_files_that_a_manifest_names(checked: Cli, fresh: Fresh, value: str) -> None:
    folder, url = fresh()
    quoted = '"' + value.replace('"', '""') + '"'
    contents = {
        "rows.csv": (f"c,d\n{quoted},1\n", f"c,{quoted}\n1,2\n", value, f"c\n{value},2,3\n"),
        "rows.jsonl": (json.dumps({"c": value}), json.dumps({value: value}), value, f'{{"c": 1}}\n{value}'),
    }
    for name, texts in contents.items():
        for text in texts:
            (folder / name).write_text(text, encoding="utf-8", newline="")
            matrix = {"r": {"file": name}}
            path = write_manifest(
                folder, {"id": "${{ r.c }}", "workflow": "f", "matrix": matrix, "args": ["${{ r }}"]}
            )
            for format in COMMANDS[("validate",)]:
                checked("validate", path, "-o", format)
            for format in COMMANDS[("plan",)]:
                checked("plan", path, "-o", format, "--database-url", url)
    path = write_manifest(folder, {"id": "a", "workflow": "f", "args": ["${{ vars.v }}"]}, vars={"v": 1})
    for text in (json.dumps({"v": value}), json.dumps({value: value}), value, f"v: {value}"):
        (folder / "vars.yaml").write_text(text, encoding="utf-8")
        checked("expand", path, "--vars-file", str(folder / "vars.yaml"))
        checked("plan", path, "--vars-file", str(folder / "vars.yaml"), "--database-url", url)
    for schema in (
        {"items": {"const": value}},
        {"$ref": value},
        {"description": value, "type": value},
        value,
    ):
        (folder / "contract.json").write_text(json.dumps(schema), encoding="utf-8")
        catalog = {"f": {"args": {"$ref": "contract.json"}}}
        path = write_manifest(folder, {"id": "a", "workflow": "f", "args": [1]}, catalog=catalog)
        for format in COMMANDS[("validate",)]:
            checked("validate", path, "-o", format)
    (folder / "ids").write_text(value, encoding="utf-8")
    checked("plan", path, "--ids-from", str(folder / "ids"), "--database-url", url)


@hostile
def test_formats_for_programs_keep_values(checked: Cli, fresh: Fresh, value: str) -> None:
    """Escapes are those of the format, so its parser returns the value; `--ids-from` reads `-o ids`."""
    folder, url = fresh()
    path = write_manifest(
        folder, {"id": value, "workflow": "f", "args": [value]}, {"id": "b", "workflow": "f"}
    )
    specs = [json.loads(line) for line in checked("expand", path, "-o", "jsonl").out.splitlines()]
    assert (specs[0]["id"], specs[0]["args"]) == (value, [value])
    assert yaml.safe_load(checked("expand", path, "-o", "yaml").out)[0]["id"] == value.replace("${{", "$${{")
    listed = folder / "ids"
    for words in (["expand", path], ["plan", path, "--database-url", url]):
        listed.write_text(checked(*words, "-o", "ids").out, encoding="utf-8")
        again = checked("expand", path, "--ids-from", str(listed), "-o", "jsonl")
        assert [json.loads(line)["id"] for line in again.out.splitlines()] == [value, "b"]
    plan = checked("plan", path, "-o", "jsonl", "--database-url", url)
    assert json.loads(plan.out.splitlines()[0])["id"] == value
    assert checked("apply", path, "--database-url", url).code == 0
    status = checked("status", path, "-o", "json", "--database-url", url)
    assert status.json["workflows"][0]["id"] == value


@hostile
def test_values_of_an_invalid_manifest(checked: Cli, fresh: Fresh, value: str) -> None:
    """The message and the line of the file show them."""
    folder, _ = fresh()
    for document in (
        {value: value},
        {"version": 1, "name": value, "workflows": [{"id": "a"}]},
        {"version": 1, "name": "j", "workflows": [{"id": "a", value: value}, {"id": "a", "queue": [value]}]},
        {"version": 1, "name": "j", "workflows": [{"id": value, "workflow": "f"}] * 2},
        {"version": 1, "name": "j", "workflows": [{"id": "${{ nothing }}" + value, "workflow": "f"}]},
        {
            "version": 1,
            "name": "j",
            "catalog": {"f": {"args": {"items": {"enum": [value]}}}},
            "workflows": [{"id": "a", "workflow": "f", "args": [value + "x"]}],
        },
    ):
        path = folder / "jobs.yaml"
        path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        for format in COMMANDS[("validate",)]:
            assert checked("validate", str(path), "-o", format).code == 1
        assert checked("expand", str(path)).code == 1
    (folder / "jobs.yaml").write_text(f"version: 1\n{value}\n", encoding="utf-8")
    for format in COMMANDS[("validate",)]:
        assert checked("validate", str(path), "-o", format).code == 1


@hostile
def test_values_of_paths_and_options(checked: Cli, fresh: Fresh, value: str) -> None:
    name = value.replace("/", "_")
    folder, url = fresh(f"{name[:60]}x\udcff")
    path = str(
        Path(write_manifest(folder, {"id": "a", "workflow": "f"})).rename(folder / f"{name[:60]}.yaml")
    )
    run_commands(checked, path, url, writing=False)
    run_commands(checked, path, url, writing=True)
    run_commands(checked, str(folder), url, writing=False)
    for words in (
        ["validate", str(folder / value)],
        ["validate", path, "-o", value],
        ["validate", path, f"--{value}"],
        [value],
        ["expand", path, "--var", value],
        ["expand", path, "--var", f"{value}=1"],
        ["expand", path, "--select", value],
        ["expand", path, "--select", f"{value}=1"],
        ["expand", path, "--entry", value],
        ["expand", path, "--ids-from", str(folder / value)],
        ["explain", path, value],
        ["plan", path, "--target", value],
        ["plan", path, "--lockfile", str(folder / f"{name[:60]}.lock")],
        ["plan", path, "--database-url", value],
        ["plan", path, "--database-url", f"sqlite:///{folder}/{name[:60]}"],
        ["apply", str(folder), "--database-url", url],
        ["lock", "format", path],
        ["plan", path, "--lock-timeout", value],
        ["status", path, "--only", value, "--database-url", url],
        ["schema", value],
        ["completion", value],
        ["init", str(folder / value)],
        ["lock", value],
    ):
        checked(*words)


@hostile
def test_values_of_lockfiles_and_saved_plans(checked: Cli, fresh: Fresh, value: str) -> None:
    folder, url = fresh()
    path = write_manifest(folder, {"id": "a", "workflow": "f"})
    lockfile, plan = folder / "jobs.lock.jsonl", folder / "plan.jsonl"
    assert checked("plan", path, "--out", str(plan), "--database-url", url).code == 0
    assert checked("apply", path, "--database-url", url).code == 0
    for file in (lockfile, plan):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for number, line in enumerate(lines):
            for key in [*line, value]:
                changed = [*lines[:number], {**line, key: value}, *lines[number + 1 :]]
                file.write_text("".join(f"{json.dumps(one)}\n" for one in changed))
                if file is plan:
                    checked("apply", str(plan), "--database-url", url)
                    continue
                checked("plan", path, "--database-url", url)
                checked("plan", path, "--against", "lock", "-o", "markdown")
                checked("lock", "check", path)
                checked("explain", path, "a")
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@hostile
def test_values_of_a_journal(checked: Cli, fresh: Fresh, value: str) -> None:
    """It is next to the lockfile after a killed apply."""
    folder, url = fresh()
    path = write_manifest(folder, {"id": "a", "workflow": "f"}, {"id": "b", "workflow": "f"})
    assert checked("apply", path, "--database-url", url).code == 0
    lockfile = folder / "jobs.lock.jsonl"
    journal = folder / "jobs.lock.jsonl.journal"
    header, entry, _ = (json.loads(line) for line in lockfile.read_text().splitlines())
    lines = [{**header, "journal": 1}, {"transaction": "1"}, entry, {"entries": 1}, {"outcome": "committed"}]
    for number, line in enumerate(lines):
        for key in [*line, value]:
            changed = [json.dumps({**one, key: value} if one is line else one) for one in lines]
            for text in ("\n".join(changed) + "\n", "\n".join([*changed[:number], value, ""])):
                for words in (["plan", path, "--database-url", url], ["lock", "check", path]):
                    journal.write_text(text, encoding="utf-8", newline="")
                    checked(*words)
    checked("apply", path, "--database-url", url)


ROWS = [
    "UPDATE workflow_status SET name = ?",
    "UPDATE workflow_input SET inputs = ?",
    "UPDATE workflow_status SET status = 'ERROR', completed_at = 1; INSERT INTO workflow_output "
    "(workflow_uuid, error, retention_timestamp) VALUES ('a', ?, 1)",
    "UPDATE workflow_status SET status = 'SUCCESS', completed_at = 1; INSERT INTO workflow_output "
    "(workflow_uuid, output, retention_timestamp) VALUES ('a', ?, 1)",
    "INSERT INTO application_versions (version_id, version_name, version_timestamp) "
    "VALUES (?, hex(randomblob(9)), 1)",
    "INSERT OR IGNORE INTO application_versions (version_id, version_name) VALUES (hex(randomblob(9)), ?)",
    "INSERT OR IGNORE INTO queues (name) VALUES (?)",
    "INSERT OR IGNORE INTO queues (name, application_name) VALUES ('q', ?)",
    "UPDATE queues SET priority_enabled = ?, partition_queue = 'x'",
    "INSERT INTO workflow_schedules (schedule_name, schedule, context, workflow_name) "
    "VALUES (hex(randomblob(9)), '', '', ?)",
]  # fmt: skip


def change_rows(url: str, statement: str, *values: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute(statement, values)
    connection.close()


def read_database(checked: Cli, path: str, url: str) -> None:
    """Run what shows rows."""
    for format in COMMANDS[("status",)]:
        checked("status", path, "-o", format, "--database-url", url)
    for format in ("text", "json"):
        checked("explain", path, "a", "-o", format, "--database-url", url)
    for format in ("text", "jsonl", "junit", "markdown"):
        checked("plan", path, "-o", format, "--show-values", "--verify", "--database-url", url)


@pytest.mark.parametrize("change", ROWS)
@hostile
def test_values_of_the_database(checked: Cli, fresh: Fresh, change: str, value: str) -> None:
    folder, url = fresh()
    path = write_manifest(folder, {"id": "a", "workflow": "f", "attributes": {"k": 1}})
    assert checked("apply", path, "--database-url", url).code == 0
    for text in (value, json.dumps({"name": value, "message": value})):
        change_rows(url, "DELETE FROM workflow_output")
        *first, last = change.split("; ")
        for statement in first:
            change_rows(url, statement)
        change_rows(url, last, text)
        read_database(checked, path, url)
        for format in ("text", "json"):
            checked("doctor", "-o", format, "--database-url", url)
            checked("lock", "verify", path, "-o", format, "--database-url", url)
        checked("apply", path, "--wait", "--wait-timeout", "0s", "--database-url", url)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_each_column_of_a_row(checked: Cli, fresh: Fresh, part: int) -> None:
    value = "".join(FRAGMENTS[part::3])
    folder, url = fresh()
    path = write_manifest(folder, {"id": "a", "workflow": "f", "attributes": {"k": 1}})
    assert checked("apply", path, "--database-url", url).code == 0
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(workflow_status)")]
    connection.close()
    assert "status" in columns
    for column in columns:
        if column != "workflow_uuid":
            with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
                ((before,),) = connection.execute(f"SELECT {column} FROM workflow_status")
            connection.close()
            change_rows(url, f"UPDATE OR IGNORE workflow_status SET {column} = ?", value)
            checked("status", path, "--database-url", url)
            checked("explain", path, "a", "--database-url", url)
            for format in ("text", "markdown"):
                checked("plan", path, "-o", format, "--show-values", "--verify", "--database-url", url)
            change_rows(url, f"UPDATE workflow_status SET {column} = ?", before)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_messages_and_values_of_a_server(checked: Cli, tmp_path: Path, database_url: str, part: int) -> None:
    """A trigger rejects a row with any message, and another program stores any status and queue."""
    quoted = "'" + "".join(FRAGMENTS[part::3]).replace("'", "''") + "'"
    if database_url.startswith("sqlite"):
        trigger = [
            "CREATE TRIGGER t BEFORE INSERT ON workflow_status WHEN NEW.workflow_uuid = 'b' "
            f"BEGIN SELECT RAISE(ABORT, {quoted}); END"
        ]
    else:
        quoted = quoted.replace("%", "%%")  # of psycopg
        trigger = [
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN "
            f"RAISE WARNING USING MESSAGE = {quoted}; IF NEW.workflow_uuid = 'b' THEN RAISE EXCEPTION "
            f"USING MESSAGE = {quoted}, DETAIL = {quoted}, HINT = {quoted}, ERRCODE = '23514'; "
            "END IF; RETURN NEW; END $body$",
            "CREATE TRIGGER t BEFORE INSERT ON workflow_status FOR EACH ROW EXECUTE FUNCTION no()",
        ]
    execute(database_url, *trigger)
    path = write_manifest(tmp_path, *({"id": name, "workflow": "f"} for name in "abc"))
    for format in COMMANDS[("apply",)]:
        assert checked("apply", path, "-o", format, "--database-url", database_url).code in (3, 5)
    execute(
        database_url,
        f"UPDATE workflow_status SET status = {quoted}, queue_name = {quoted} WHERE workflow_uuid = 'a'",
        f"INSERT INTO queues (name) VALUES ({quoted})",
    )
    checked("doctor", "--sql", "--database-url", database_url)
    run_commands(checked, path, database_url, writing=False)
    run_commands(checked, path, database_url, writing=True)


def test_completed_targets_are_valid_names(tmp_path: Path) -> None:
    """They come from names of files, are printed by click, and become a part of a command line."""
    for target in ("prod", "$(touch x)", "a b", "p\x1b[2J", "p\nplain,--yes", "p\u202e"):
        (tmp_path / f"jobs.{target}.lock.jsonl").touch()
    plan = cli.get_command(click.Context(cli), "plan")
    assert plan is not None
    context = click.Context(plan)
    context.params["paths"] = [str(tmp_path)]
    parameter = next(param for param in context.command.params if "--target" in param.opts)
    assert [item.value for item in parameter.shell_complete(context, "")] == ["prod"]
