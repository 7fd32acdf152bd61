"""Test that a manifest expands equally whatever time zones, rules of time zones and locale a machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

MANIFEST = """\
version: 1
name: zones
defaults: {queue: q, workflow: f}
workflows:
  - id: day-${{ day | strftime('%Y%m%dT%H%M%z-%A-%B') }}
    kwargs: {day: "${{ day }}"}
    matrix:
      day:
        date_range: {start: "2026-03-28T02:30", end: "2026-03-31T02:30", step: 1d, timezone: Europe/Berlin}
  - id: hour-${{ hour }}
    matrix:
      hour:
        date_range: {start: "2026-11-01T00:00", end: "2026-11-01T06:00", step: 1h, timezone: America/New_York}
  - id: tick-${{ tick }}
    matrix:
      tick:
        cron: {schedule: "30 2 * * *", timezone: Australia/Lord_Howe, start: "2026-04-01", end: "2026-04-12"}
"""


def expand(folder: Path, **environment: str) -> str:
    """Return the workflows of the manifest, with these environment variables."""
    done = subprocess.run(
        [sys.executable, "-m", "dbos_manifest", "expand", "zones.yaml"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zones.yaml").write_text(MANIFEST)
    return tmp_path


@pytest.fixture
def expected(folder: Path) -> str:
    found = expand(folder)
    assert "day-20260328T0230+0100-Saturday-March" in found
    assert "day-20260330T0230+0200-Monday-March" in found
    assert "tick-2026-04-06T02:30:00+10:30" in found
    return found


def test_machine_without_time_zones_expands_equally(folder: Path, expected: str) -> None:
    (folder / "empty").mkdir()
    assert expand(folder, PYTHONTZPATH=str(folder / "empty")) == expected
    assert expand(folder, PYTHONTZPATH="") == expected


def test_machine_with_other_rules_expands_equally(folder: Path, expected: str) -> None:
    tokyo = resources.files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"):
        path = folder / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tokyo)
    assert expand(folder, PYTHONTZPATH=str(folder / "rules")) == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TZ", "Asia/Kathmandu"), ("TZ", ":no/such/zone"), ("LC_ALL", "de_DE.UTF-8"), ("LC_ALL", "tr_TR.UTF-8")],
)
def test_time_zone_and_locale_of_the_machine_do_not_count(
    folder: Path, expected: str, variable: str, value: str
) -> None:
    assert expand(folder, **{variable: value}) == expected


@pytest.mark.parametrize(
    "name", ["localtime", "posixrules", "europe/berlin", "posix/Europe/Berlin", "../zones", "tzdata.zi"]
)
def test_name_that_only_some_machines_have_is_refused(folder: Path, name: str) -> None:
    (folder / "zones.yaml").write_text(MANIFEST.replace("Europe/Berlin", f'"{name}"'))
    done = subprocess.run(
        [sys.executable, "-m", "dbos_manifest", "validate", "zones.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "is not a time zone" in done.stderr + done.stdout
