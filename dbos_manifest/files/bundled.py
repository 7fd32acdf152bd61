"""Read the files that come with the program: schemas and templates."""

from __future__ import annotations

from pathlib import Path

SCHEMAS = (
    "manifest.v1",
    "lockfile.v1",
    "plan.v1",
    "diagnostics.v1",
    "changes.v1",
    "applied.v1",
    "doctor.v1",
    "status.v1",
    "history.v1",
)


def read_schema(name: str) -> str:
    """Read a published schema, as `manifest.v1`, from the wheel or the source tree."""
    here = Path(__file__).parent.parent
    packaged = here / "schemas" / f"{name}.schema.json"
    source = packaged if packaged.is_file() else here.parent / "schemas" / packaged.name
    return source.read_text(encoding="utf-8")


def read_template(name: str) -> str:
    """Read the template of a file that this program writes, or of a part of one."""
    return (Path(__file__).parent.parent / "templates" / name).read_text(encoding="utf-8")


def read_ci_template(name: str) -> str:
    """Read the template of a CI pipeline, from the wheel or the source tree."""
    here = Path(__file__).parent.parent
    packaged = here / "templates" / name
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parent.parent.parent / "ci" / name).read_text(encoding="utf-8")
