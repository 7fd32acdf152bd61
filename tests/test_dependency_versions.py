"""Check that every allowed version of a dependency expands files to the same workflows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Installer = Callable[..., Path]

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "manifests" / "examples"
BEFORE_THE_BOUND = "6.2.4"  # the oldest croniter that dbos 3.4.0 allows

# Schedules of every kind over clock changes; the ticks of the installed version are the expected ones.
# (schedule, zone, start, end)
ORDINARY = [
    (schedule, zone, start, end)
    for schedule in (
        "0 0 * * *", "*/15 * * * *", "30 2 * * *", "0 1-3 * * *", "0 0 1 * *", "0 12 * * mon-fri",
        "0 0 l * *", "0 0 * * fri#1", "0 0 13 * 5", "0 3 10 3,10 *", "*/20 30 2 * * *", "5,35 */2 * 3,10 sun",
    )
    for zone in ("UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe")
    for start, end in (
        ("2026-03-05T00:00:00+00:00", "2026-04-02T00:00:00+00:00"),
        ("2026-10-01T12:00:00+00:00", "2026-11-03T00:00:00+00:00"),
    )
]  # fmt: skip
# Schedules for which the version below the bound yields other ticks, or none.
DISPUTED = [
    ("0 0 4 * * 7", "UTC", "2026-03-01T00:00:00+00:00", "2026-04-02T00:00:00+00:00"),
    ("0 4 31 2 sun", "UTC", "2026-02-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00"),
    ("*/10 * 30 * 7", "Pacific/Apia", "2011-12-29T19:53:20+00:00", "2012-01-10T00:00:00+00:00"),
]
TICKS = """\
import json, sys
from datetime import datetime
from zoneinfo import ZoneInfo
import croniter
from dbos_manifest.expansion.cron_ticks import is_schedule, ticks

def of(schedule, zone, start, end):
    if not is_schedule(schedule):
        return None
    start = datetime.fromisoformat(start).astimezone(ZoneInfo(zone))
    return list(ticks(schedule, start, datetime.fromisoformat(end)))

print(json.dumps([croniter.__file__, [of(*case) for case in json.load(sys.stdin)]]))
"""


def bounds(name: str) -> dict[str, str]:
    """Return the version bounds of a dependency in pyproject.toml by operator."""
    line = re.search(rf'^  "{name}([^"]*)",', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert line is not None
    return dict(re.findall(r"([=<>]=?)([\d.]+)", line[1]))


@pytest.fixture(scope="session")
def installed(request: pytest.FixtureRequest) -> Installer:
    """Return a function that installs exact versions into a cached folder, or skips without a registry."""
    cache = request.config.cache
    assert cache is not None

    def install(*requirements: str) -> Path:
        name = "-".join([*requirements, f"py{sys.version_info[0]}{sys.version_info[1]}"])
        folder = Path(cache.mkdir("packages")) / name.replace("==", "-")
        if folder.is_dir():
            return folder
        part = folder.with_name(f"{folder.name}.{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*pip, "--target", part, *requirements], capture_output=True, text=True)
        if done.returncode != 0:
            shutil.rmtree(part, ignore_errors=True)
            reachable = "No matching distribution" in done.stderr and "from versions: none" not in done.stderr
            assert not reachable, done.stderr
            pytest.skip(f"the package registry is not reachable: {done.stderr.strip()[-200:]}")
        try:
            part.rename(folder)
        except OSError:  # another test process was faster
            shutil.rmtree(part)
        return folder

    return install


def ticks_with(folder: Path | None, cases: list[tuple[str, str, str, str]]) -> list[list[str] | None]:
    environment = {**os.environ, "PYTHONPATH": str(folder or "")}
    done = subprocess.run(
        [sys.executable, "-c", TICKS],
        input=json.dumps(cases), env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    module, ticks = json.loads(done.stdout)
    assert folder is None or module.startswith(str(folder))
    return list(ticks)


def test_oldest_and_newest_allowed_croniter_yield_the_same_ticks(installed: Installer) -> None:
    allowed = bounds("croniter")
    ends = {allowed.get("==") or allowed[">="], allowed.get("==") or allowed["<="]}
    cases = ORDINARY + DISPUTED
    expected = ticks_with(None, cases)
    assert all(expected[: len(ORDINARY)]), "a schedule that never fires tests nothing"
    for version in ends:
        assert ticks_with(installed(f"croniter=={version}"), cases) == expected


def test_croniter_below_the_bound_yields_other_ticks(installed: Installer) -> None:
    """The bound cannot be wider. Ordinary schedules have the same ticks in any DBOS worker."""
    before = installed(f"croniter=={BEFORE_THE_BOUND}")
    assert ticks_with(before, ORDINARY) == ticks_with(None, ORDINARY)
    for old, new in zip(ticks_with(before, DISPUTED), ticks_with(None, DISPUTED), strict=True):
        assert old != new


def test_oldest_allowed_parsers_and_serializers_yield_the_same_values(installed: Installer) -> None:
    """Parsers turn text into values; serializers write the JSON that generated IDs are hashed from."""
    names = ("pyyaml", "orjson", "croniter")
    oldest = [f"{name}=={bounds(name).get('>=') or bounds(name)['==']}" for name in names]

    def expand(folder: Path | None) -> list[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(folder or "")}
        return [
            subprocess.run(
                [sys.executable, "-m", "dbos_manifest", "expand", path],
                env=environment, capture_output=True, check=True,
            ).stdout
            for path in sorted(EXAMPLES.iterdir())
            if path.is_file()
        ]  # fmt: skip

    assert expand(installed(*oldest)) == expand(None)
