"""The one door to the file system: manifests and lockfiles in, lockfiles out, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from .errors import InvalidLockfile, LockfileNotWritable, Refused, UsageError
from .journal_file import JournalFile, journal_path, remove_journal, sync_folder
from .tree import TreeError

SCHEMAS = ("manifest.v1", "lockfile.v1", "plan.v1", "diagnostics.v1", "changes.v1", "applied.v1", "doctor.v1")
LOCKFILE_SUFFIX = ".lock.jsonl"
_MANIFEST_SUFFIXES = {".yaml", ".yml", ".json"}


def read_schema(name: str) -> str:
    """The text of a published schema, as `manifest.v1`, from the wheel or the source tree."""
    here = Path(__file__).parent
    packaged = here / "schemas" / f"{name}.schema.json"
    source = packaged if packaged.is_file() else here.parent / "schemas" / packaged.name
    return source.read_text(encoding="utf-8")


def read_template(name: str) -> str:
    """The text of a file that `init` writes."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def read_ci_template(name: str) -> str:
    """The text of a pipeline's template, from the wheel or the source tree."""
    here = Path(__file__).parent
    packaged = here / "templates" / name
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parent.parent / "ci" / name).read_text(encoding="utf-8")


def write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet; false, and nothing done, when it is.

    Raises: UsageError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    return True


def find_manifests(path: Path) -> list[Path]:
    """Find the files that a path of the command line stands for: itself, or all YAML and JSON below a folder.

    Shape:  a folder's files come sorted; hidden files and folders are skipped, links are followed. Whether
            such a file is a manifest is for the caller to see.
    Raises: UsageError for a file or folder that is not there or cannot be opened.
    """
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
        return list(_walk(path, set())) if is_folder else [path]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"no such file or folder: {error.filename}") from None
    except OSError as error:
        raise UsageError(
            f"cannot open {error.filename}: {error.strerror}", "check its permissions, or name other paths"
        ) from error


def _walk(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """Go through a folder, files first; each folder once, whatever links lead to it."""
    found = folder.stat()
    if (found.st_dev, found.st_ino) in entered:
        return
    entered.add((found.st_dev, found.st_ino))
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [path for path in paths if path.is_dir()]
    for path in paths:
        if path.suffix.lower() in _MANIFEST_SUFFIXES and path not in folders:
            if not stat.S_ISREG(path.stat().st_mode):
                raise UsageError(f"cannot read {path}: it is no regular file", "move it out of the folder")
            yield path
    for path in folders:
        yield from _walk(path, entered)


def read_manifest(path: Path, limit: int) -> bytes:
    """Read a manifest; of a longer file only `limit` + 1 bytes, which the reader then refuses.

    Raises: UsageError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def open_lockfile(path: Path) -> Iterator[BinaryIO | None]:
    """Open a lockfile to read it line by line; None where there is none yet.

    Raises: UsageError when it exists and cannot be read; InvalidLockfile as `resolve_lockfile` does.
    """
    try:
        # not blocking, so that a pipe is refused instead of waited for
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(resolve_lockfile(path), flags), "rb") as file:
            _check_regular(path, os.fstat(file.fileno()))
            yield file
    except FileNotFoundError:
        yield None
    except OSError as error:
        raise UsageError(f"cannot read the lockfile {path}: {error.strerror}") from error


def find_lockfiles(folder: Path) -> list[Path]:
    """List the lockfiles in a folder; none where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(LOCKFILE_SUFFIX))
    except OSError:
        return []


def resolve_lockfile(path: Path) -> Path:
    """Find the file that a lockfile's path stands for; links are followed only within its folder.

    Raises: InvalidLockfile for a link that leads elsewhere, and for what is not a regular file.
    """
    folder = os.path.realpath(path.parent)
    real = Path(os.path.realpath(Path(folder, path.name)))
    if not real.is_relative_to(folder):
        raise InvalidLockfile(
            f"the lockfile {path} is a link that leads out of its folder, to {real}",
            "put the file itself there, or name the other place with --lockfile",
        )
    with suppress(OSError):  # none yet, or what opening it reports
        _check_regular(path, real.stat())
    return real


def _check_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise InvalidLockfile(
            f"the lockfile {path} is not a regular file",
            "remove it, or name another lockfile with --lockfile",
        )


class FolderTree:
    """The files that a manifest may name: regular files in its folder and below, symbolic links followed.

    A file stays what it was when first opened: a plan is not to be sent with other rows than it was made of.
    """

    def __init__(self, folder: Path) -> None:
        self._root = Path(os.path.realpath(folder))
        self._seen: dict[Path, tuple[int, int, int]] = {}

    def files(self) -> list[Path]:
        """The files that were opened so far."""
        return [*self._seen]

    def stream(self, path: str, limit: int) -> BinaryIO:
        """See `tree.Tree`."""
        if "\0" in path or not path or Path(path).is_absolute() or ".." in Path(path).parts:
            raise TreeError(
                "outside-tree",
                f"`{printable_path(path)}` is no path below the manifest's folder",
                "copy the file there, and write its path from the manifest's folder",
            )
        try:
            real = Path(os.path.realpath(self._root / path, strict=True))
            if not real.is_relative_to(self._root):
                raise TreeError("outside-tree", f"`{path}` is a link that leads out of the manifest's folder")
            # not blocking, so that a pipe is refused instead of waited for
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.fdopen(os.open(real, flags), "rb")
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TreeError("axis-file", f"cannot read {printable_path(path)}: {reason}") from None
        try:
            self._check(path, real, os.fstat(file.fileno()), limit)
        except TreeError:
            file.close()
            raise
        return file

    def _check(self, path: str, real: Path, found: os.stat_result, limit: int) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise TreeError("axis-file", f"cannot read {path}: it is no regular file")
        if found.st_size > limit:
            raise TreeError("too-large", f"{path} has {found.st_size:,} bytes; at most {limit:,} are read")
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._seen.setdefault(real, version) != version:
            raise TreeError("axis-file", f"{path} changed while the program ran", "run the command again")


def printable_path(path: str) -> str:
    return path.replace("\0", "\\0")


class FileReader:
    """A file that is read more than once and may not change meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None

    def exists(self) -> bool:
        return self._path.is_file()

    def begins_with(self, first: bytes) -> bool:
        with self.stream() as file:
            return file.read(len(first)) == first

    def stream(self) -> BinaryIO:
        """Raises: UsageError when it cannot be read, or is not what it was the first time."""
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise UsageError(f"cannot read {self._path}: {error.strerror}") from error
        found = os.fstat(file.fileno())
        version = (found.st_ino, found.st_size, found.st_mtime_ns)
        if self._version not in (None, version):
            file.close()
            raise UsageError(f"{self._path} changed while it was read", "run the command again")
        self._version = version
        return file


def read_ids(path: Path) -> bytes:
    """The bytes of a list of ids.

    Raises: UsageError when it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


class LockfileSlot:
    """The right to replace one lockfile, held from reading it until it is written.

    The temporary file beside the lockfile is both the proof that the folder can be written, opened
    before anything is sent, and the operating system's lock between two applies. A killed process
    leaves an unlocked temporary file, which the next one takes over.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.path = resolve_lockfile(path)
        self._temporary = self.path.with_name(f".{self.path.name}.tmp")
        self._descriptor: int | None = self._acquire(timeout_s)

    def _acquire(self, timeout_s: float) -> int:
        give_up = time.monotonic() + timeout_s
        while True:
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if time.monotonic() >= give_up:
                    raise Refused(
                        f"another apply holds the lockfile {self.path}",
                        "wait for it to end, or give it longer with --lock-timeout",
                    ) from None
                time.sleep(0.05)
                continue
            if self._still_named(descriptor):
                return descriptor
            os.close(descriptor)  # its holder has renamed or removed it meanwhile

    def _open(self) -> int:
        try:
            return os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise LockfileNotWritable(
                f"cannot write the lockfile {self.path}: {error.strerror}",
                "make its folder writable, or name another place with --lockfile",
            ) from error

    def _still_named(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self._temporary))
        except FileNotFoundError:
            return False

    def open_journal(self) -> JournalFile:
        """Open the journal for appending. Raises: LockfileNotWritable."""
        return JournalFile(journal_path(self.path))

    def remove_journal(self) -> None:
        """Remove a journal that holds nothing. Raises: LockfileNotWritable."""
        try:
            remove_journal(journal_path(self.path))
        except OSError as error:
            raise LockfileNotWritable(
                f"cannot remove the journal of {self.path}: {error.strerror}"
            ) from error

    def check_replaceable(self) -> None:
        """Find out before anything is enqueued what would keep `replace` from working.

        Raises: LockfileNotWritable.
        """
        journal = journal_path(self.path)
        if os.path.lexists(journal):
            JournalFile(journal).close()
        try:
            found, folder = self.path.lstat(), self.path.parent.stat()
        except FileNotFoundError:
            return
        owners = (found.st_uid, folder.st_uid, 0)
        if folder.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
            raise LockfileNotWritable(
                f"cannot replace the lockfile {self.path}: another user owns it, "
                "and its folder has the sticky bit",
                "remove the file or the bit, or name another lockfile with --lockfile",
            )
        if found.st_dev != folder.st_dev or str(self.path) in _mount_points():
            raise LockfileNotWritable(
                f"cannot replace the lockfile {self.path}: the file itself is mounted",
                "mount its folder instead, or name another lockfile with --lockfile",
            )

    def replace(self, lines: Iterable[str], *, keep_journal: bool = False) -> None:
        """Put the lines in the lockfile's place, so that a reader sees all of the old or all of the new.

        The journal is removed then, unless a transaction in it is still in doubt.
        Raises: LockfileNotWritable when the disk refuses; the old lockfile and the journal are then as they
                were.
        """
        descriptor, self._descriptor = self._descriptor, None
        assert descriptor is not None, "a slot writes once"
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.truncate(0)
                file.writelines(lines)
                file.flush()
                if self.path.exists():
                    os.fchmod(descriptor, stat.S_IMODE(self.path.stat().st_mode))
                os.fsync(descriptor)
                self._temporary.replace(self.path)
            sync_folder(self.path.parent)
            if not keep_journal:
                remove_journal(journal_path(self.path))
        except BaseException as error:
            self._temporary.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            raise LockfileNotWritable(
                f"the lockfile {self.path} could not be written: {error.strerror}",
                "the journal next to it has what was enqueued: make room, then run the same command again",
            ) from error

    def close(self) -> None:
        if self._descriptor is not None:
            self._temporary.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> LockfileSlot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _mount_points() -> set[str]:
    """The paths where something is mounted; empty where the system does not list them.

    Source: proc_pid_mountinfo(5): the fifth field, with blanks and backslashes as octal numbers.
    """
    try:
        with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split(" ")[4] for line in file]
    except OSError:
        return set()
    return {re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field) for field in fields}


def read_git_commit(folder: Path) -> str | None:
    """The commit that the working tree around a folder is at, read from Git's own files.

    Source: gitrepository-layout(5): HEAD, refs, packed-refs, and `gitdir:` files of work trees.
    """
    try:
        root = find_repository(folder)
        return _read_head(root / ".git") if root is not None else None
    except (OSError, UnicodeDecodeError):
        return None  # provenance is a hint: an odd or unreadable repository is no reason to stop


def find_repository(folder: Path) -> Path | None:
    """Find the top level of the Git working tree around a folder."""
    for place in (folder, *folder.parents):
        try:
            if (place / ".git").exists():
                return place
        except OSError:
            return None
    return None


def _read_head(git: Path) -> str | None:
    if git.is_file():
        git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
    common = git
    if (git / "commondir").is_file():
        common = git / (git / "commondir").read_text(encoding="utf-8").strip()
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return _commit(head)
    ref = head.removeprefix("ref: ")
    for base in (git, common):
        if ".." not in ref and (base / ref).is_file():
            return _commit((base / ref).read_text(encoding="utf-8").strip())
    return next((line.split()[0] for line in _packed_refs(common) if line.endswith(f" {ref}")), None)


def _packed_refs(common: Path) -> Iterator[str]:
    packed = common / "packed-refs"
    if packed.is_file():
        yield from packed.read_text(encoding="utf-8").splitlines()


def _commit(text: str) -> str | None:
    return text if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) else None


def write_crash_log(folder: Path, name: str, text: str) -> Path:
    """A log that only its owner can read; gives its path."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
