"""Test the locks of lockfiles: how many files are open, and what other processes and users left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dbos_manifest.core.errors import LockfileNotWritable, Refused, UsageError
from dbos_manifest.files.lockfile_lock import LockfileLocks
from dbos_manifest.files.lockfile_writer import LockfileWriter

NAMES = [f"jobs{number}.lock.jsonl" for number in range(300)]


def count_open_files() -> int:
    return len([*Path("/dev/fd").iterdir()])


def lock_name(lockfile: Path) -> Path:
    return lockfile.with_name(f".{lockfile.name}.tmp")


def test_many_lockfiles_are_locked_by_one_open_file(tmp_path: Path) -> None:
    before = count_open_files()
    with LockfileLocks(0) as locks:
        writers = [LockfileWriter(tmp_path / name, locks) for name in NAMES]
        assert count_open_files() == before + 1
        for name in NAMES:
            with pytest.raises(Refused, match=f"another apply holds the lockfile .*{name}"):
                LockfileLocks(0).take(tmp_path / name)
        for writer in writers:
            writer.replace([f"{writer.path.name}\n"])
            assert count_open_files() == before + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    assert all((tmp_path / name).read_text() == f"{name}\n" for name in NAMES)
    assert count_open_files() == before


@pytest.mark.parametrize("code", [errno.EPERM, errno.EMLINK, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOENT])
def test_file_systems_without_links_have_an_open_file_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", fail)
    before = count_open_files()
    with LockfileLocks(0) as locks:
        for name in NAMES[:5]:
            locks.take(tmp_path / name)
        assert count_open_files() == before + 5
        with pytest.raises(Refused):
            LockfileLocks(0).take(tmp_path / NAMES[3])
    assert not [*tmp_path.iterdir()]
    assert count_open_files() == before


def test_link_that_exists_although_it_failed_counts_as_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_and_fail(source: Path, name: Path, *, follow_symlinks: bool) -> None:
        link(source, name, follow_symlinks=follow_symlinks)
        raise FileExistsError

    monkeypatch.setattr(os, "link", link_and_fail)
    with LockfileLocks(0) as locks:
        for name in NAMES[:3]:
            locks.take(tmp_path / name)
        with pytest.raises(Refused):
            LockfileLocks(0).take(tmp_path / NAMES[2])
    assert not [*tmp_path.iterdir()]


def test_file_systems_without_locks_are_refused_and_left_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(LockfileNotWritable, match=os.strerror(errno.ENOLCK)), LockfileLocks(0) as locks:
        locks.take(tmp_path / NAMES[0])
    assert not [*tmp_path.iterdir()]


def test_lockfile_that_two_manifests_share_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.lock.jsonl").touch()
    (tmp_path / "b.lock.jsonl").symlink_to("a.lock.jsonl")
    with LockfileLocks(60) as locks:
        LockfileWriter(tmp_path / "a.lock.jsonl", locks)
        with pytest.raises(UsageError, match="two manifests have the same lockfile"):
            LockfileWriter(tmp_path / "b.lock.jsonl", locks)


def test_killed_process_leaves_names_that_the_next_one_removes(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from dbos_manifest.files.lockfile_lock import LockfileLocks\n"
        "locks = LockfileLocks(0)\n"
        "for name in sys.argv[1:]: locks.take(pathlib.Path(name))\n"
        "os.kill(os.getpid(), 9)"
    )
    paths = [tmp_path / name for name in NAMES[:20]]
    subprocess.run([sys.executable, "-c", script, *map(str, paths)], check=False)
    assert all(lock_name(path).exists() for path in paths)
    with LockfileLocks(0) as locks:
        for path in paths:
            locks.take(path)
    assert not [*tmp_path.iterdir()]


def test_applies_of_the_same_lockfiles_take_turns(tmp_path: Path) -> None:
    """No two threads hold a lock at once, whatever is created, removed and waited for meanwhile."""
    paths = [tmp_path / name for name in NAMES[:8]]
    inside: list[str] = []

    def apply(name: str) -> None:
        for _ in range(20):
            with LockfileLocks(60) as locks:
                for path in paths:
                    locks.take(path)
                inside.append(name)
                assert inside == [name]
                inside.remove(name)

    failures: list[BaseException] = []

    def run(name: str) -> None:
        try:
            apply(name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(f"thread {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert not [*tmp_path.iterdir()]


def link_to_victim(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def hard_link_to_victim(place: Path, victim: Path) -> None:
    os.link(victim, place)


def pipe(place: Path, victim: Path) -> None:
    os.mkfifo(place)


def folder(place: Path, victim: Path) -> None:
    place.mkdir()


def dangling_link(place: Path, victim: Path) -> None:
    place.symlink_to(victim.with_name("absent"))


PLANTED = [link_to_victim, hard_link_to_victim, pipe, folder, dangling_link]


@pytest.mark.parametrize("temporary", [".{}.tmp", ".{}.new.tmp"])
@pytest.mark.parametrize("plant", PLANTED)
def test_planted_temporary_file_is_never_written(
    tmp_path: Path, plant: Callable[[Path, Path], None], temporary: str
) -> None:
    """It is removed, or the message names it."""
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    path = tmp_path / "jobs" / "jobs.lock.jsonl"
    path.parent.mkdir()
    planted = path.with_name(temporary.format(path.name))
    plant(planted, victim)
    try:
        with LockfileWriter.locked(path, 0) as writer:
            writer.check_replaceable()
            writer.replace(["new\n"])
        assert path.read_text() == "new\n"
        assert [*path.parent.iterdir()] == [path]
    except LockfileNotWritable as error:
        assert f"the temporary file {planted} is in the way" in error.message
        assert "remove" in (error.hint or "")
    assert victim.read_text() == "precious\n"
    assert not victim.with_name("absent").exists()


def test_lock_that_was_replaced_by_hand_is_not_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "jobs.lock.jsonl"
    with LockfileLocks(0) as locks:
        locks.take(path)
        lock_name(path).unlink()
        with LockfileLocks(0) as others:
            others.take(path)
            locks.close()
            with pytest.raises(Refused):
                LockfileLocks(0).take(path)
    assert not [*tmp_path.iterdir()]


def test_unlocked_file_of_another_owner_is_only_read(tmp_path: Path) -> None:
    """A lock is tried on a file that is only readable, so another user's leftover is found to be unlocked."""
    path = tmp_path / "jobs.lock.jsonl"
    lock_name(path).touch(mode=0o444)
    with lock_name(path).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Refused):
            LockfileLocks(0).take(path)
    with LockfileLocks(0) as locks:
        locks.take(path)
    assert not [*tmp_path.iterdir()]
