"""Run `dbos-manifest init`."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import UsageError
from ..files.bundled import read_ci_template, read_schema, read_template
from ..files.output_files import write_new
from ..report.text import printable
from .help import command
from .options import FilePath, argument, option
from .terminal import say, write_line


@command("", "shop --github")
@argument(
    "folder",
    type=FilePath(path_type=Path, file_okay=False),
    default=".",
    help="Write into this folder.  [default: .]",
)
@option("--github", is_flag=True, envvar=None, section="Output", help="Also write a GitHub Actions workflow.")
@option("--gitlab", is_flag=True, envvar=None, section="Output", help="Also write a GitLab pipeline.")
def init(folder: Path, github: bool, gitlab: bool) -> int:
    """Write a first manifest, its schema for editors, a pre-commit hook and .gitattributes.

    Never overwrites a file.
    """
    files = {
        "jobs/example.yaml": read_template("example.yaml"),
        "jobs/manifest.v1.schema.json": read_schema("manifest.v1"),
        ".pre-commit-config.yaml": read_template("pre-commit-config.yaml"),
        ".gitattributes": read_template("gitattributes"),
    }
    if github:
        files[".github/workflows/dbos-manifest.yml"] = read_template("github.yml")
    if gitlab:
        files[".gitlab-ci.yml"] = read_ci_template("gitlab.yml")
    written = [name for name, text in files.items() if write_new(folder / name, text)]
    for name in files:
        if name in written:
            write_line(f"wrote {printable(str(folder / name))}")
        else:
            say(f"{printable(str(folder / name))} already exists; left unchanged")
    if not written:
        raise UsageError(
            "all files already exist",
            "choose another folder, or remove the files that should be written again",
        )
    jobs = printable(str(folder / "jobs"))
    write_line(f"next: edit {jobs}/example.yaml, then `dbos-manifest validate {jobs}`")
    return 0
