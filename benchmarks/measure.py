"""A command in, what it cost as a whole process out."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple


class Cost(NamedTuple):
    wall_s: float
    cpu_s: float
    peak_mib: float

    def row(self, name: str, against: Cost) -> str:
        ratio = self.wall_s / against.wall_s
        return f"| {name} | {self.wall_s:.2f} | {self.cpu_s:.2f} | {self.peak_mib:.0f} | {ratio:.2f} |"


HEADER = "| command | wall s | CPU s | peak MiB | over the first |\n|---|---|---|---|---|"


def run(command: Sequence[str | Path], output: Path) -> Cost:
    """One run, its result written to a file.

    Raises: RuntimeError when it fails.
    """
    # as installed: a program's modules are compiled once
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with output.open("wb") as file:
        start = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=file, env=environment)
        with _sampled_memory(process.pid) as most_mib:
            _, status, used = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    # the kernel's figure is exact, and of the largest process only; the samples are of all together
    peak_mib = max(used.ru_maxrss / 1024, *most_mib)
    return Cost(wall_s, used.ru_utime + used.ru_stime, peak_mib)


@contextmanager
def _sampled_memory(pid: int) -> Iterator[list[float]]:
    """Inside, MiB of a process and its children together while it has some, shared pages counted once."""
    found, ended = [0.0, 0.0], threading.Event()

    def sample() -> None:
        while not ended.wait(0.5):  # each look stops the process for some milliseconds
            with suppress(OSError):  # it has ended
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                if children:
                    found[0] = max(found[0], sum(map(_proportional_mib, (str(pid), *children))))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _proportional_mib(pid: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def compare(sides: dict[str, Callable[[], Cost]], rounds: int) -> str:
    """A table of medians; the sides take turns, so that whatever else the machine does meets all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            costs[name].append(side())
    medians = {name: Cost(*map(median, zip(*found, strict=True))) for name, found in costs.items()}
    first = next(iter(medians.values()))
    return "\n".join([HEADER, *(cost.row(name, first) for name, cost in medians.items())])
