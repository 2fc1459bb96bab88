"""What the machine has: memory and disk, whole files on it, one run in a folder.

What does not fit is refused before it is computed, with the numbers. Every file is written
by :func:`replace_file`, whole or not at all.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from mmmjax.checks import Phrase, fail, name, show

try:
    import fcntl
except ImportError:  # Windows: a folder is shared, files are whole there too
    fcntl = None

__all__ = [
    "FORMULA",
    "Unwritten",
    "clean",
    "csv",
    "enough_disk",
    "enough_memory",
    "host_memory",
    "locked",
    "only_run",
    "plain",
    "put",
    "replace_file",
    "usable_path",
]

CGROUPS = ("memory.max", "memory/memory.limit_in_bytes")
HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
SESSION = secrets.token_hex(4)  # of this process: its id may be that of a dead one
LEFT_OVER = re.compile(r"\.mmmjax-([0-9a-f]{8})-(\d+)-([0-9a-f]{8})[0-9a-f]{8}\.tmp")
LOCK = ".mmmjax-lock"
NAME = 255  # bytes of a file's name that most file systems take
TEMPORARY = 60  # bytes of a temporary file's name
FORMULA = r"(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"  # what a spreadsheet may run


class Unwritten(OSError):
    """A file could not be written; what was there before is whole."""

    def __str__(self) -> str:
        """Which file and why."""
        return f'"{self.filename}" could not be written: {self.strerror}'


def host_memory() -> int:
    """Bytes that this process may use: physical memory or the cgroup's limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # absent, or "max"
            limits.append(int((Path("/sys/fs/cgroup") / file).read_text()))
    return min(limits)


def enough_memory(field: str, needed: float, of: str, fix: str) -> None:
    """Refuse what is beyond the memory of this machine.

    Args:
        field: What was asked.
        needed: Bytes, an estimate.
        of: What needs them.
        fix: What to ask instead.
    """
    if needed > (have := host_memory()):
        got = Phrase(f"{of}, which need about {_size(needed)} of memory")
        fail(field, got, "", f"what this machine holds ({_size(have)})", fix)


def enough_disk(field: str, folder: Path, needed: float, of: str, fix: str) -> None:
    """Refuse what the disk of a folder, which need not exist yet, has no room for."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    if needed > (free := shutil.disk_usage(there).free):
        got = Phrase(f'"{folder}" for {of}, which take about {_size(needed)}')
        fail(field, got, "", f"room on its disk ({_size(free)} are free)", fix)


def _size(count: float) -> str:
    count = min(count, 10**300)  # 10**400 is no float
    steps = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    unit, called = next((step for step in steps if count >= step[0]), steps[-1])
    return f"{count / unit:,.3g} {called}"


def usable_path(field: str, path: str | os.PathLike[str]) -> Path:
    """A path that a file or folder can have, with room for the name of a temporary file.

    Raises:
        InputError: Characters that no path has, or that cannot be shown; a name or path
            that is too long; a file in the way.
    """
    target = Path(name(field, os.fspath(path), fix="name another"))
    try:
        os.stat(target / ("x" * TEMPORARY))
    except (FileNotFoundError, NotADirectoryError):
        return target
    except OSError as error:
        got = Phrase(f"{show(str(target))}: {error.strerror}")
        fail(field, got, "", "a path that the system takes", "name another")
    return target


def replace_file(target: Path, content: bytes | memoryview) -> None:
    """Put ``content`` at ``target`` in one step, on disk before it is seen.

    Raises:
        Unwritten: No room, no right, a name that is too long; the old file is there still.
    """
    token = f"{SESSION}{secrets.token_hex(4)}"
    temporary = target.with_name(f".mmmjax-{HOST}-{os.getpid()}-{token}.tmp")
    try:
        put(temporary, content)
        os.replace(temporary, target)
        if os.name == "posix":  # elsewhere a folder cannot be opened, let alone synced
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Unwritten(error.errno, error.strerror, str(target)) from error
        raise


def put(path: Path, content: bytes | memoryview) -> None:
    """Write a new file to the disk: every file of ours goes through here."""
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def clean(folder: Path) -> None:
    """Remove what processes of this machine left half written and that are dead now."""
    with contextlib.suppress(OSError):  # not there, or not ours to clean
        for file in os.listdir(folder):
            found = LEFT_OVER.fullmatch(file)
            if found and found[1] == HOST and not _alive(int(found[2]), found[3]):
                (folder / file).unlink(missing_ok=True)


def _alive(process: int, session: str) -> bool:
    """Whether a process runs still; another session of our id is a dead one."""
    if process == os.getpid():
        return session == SESSION
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


@contextlib.contextmanager
def only_run(field: str, folder: Path) -> Iterator[None]:
    """Hold a folder, which is created, as the only run in it; cleaned at first.

    The lock is the system's: it ends with the process, however that ends. Where the file
    system has no locks two runs share the folder.

    Raises:
        InputError: Another run holds it; the message says which.
    """
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    clean(folder)
    file = locked(folder / LOCK)
    if file == 0:
        who = "another run"
        with contextlib.suppress(OSError):
            who = (folder / LOCK).read_text(errors="replace") or who
        fix = "wait until it has ended, stop it, or name another folder"
        got = Phrase(f'"{folder}", where {who} is at work')
        fail(field, got, "", "one run in a folder at a time", fix)
    try:
        yield
    finally:
        if file:
            with contextlib.suppress(OSError):
                (folder / LOCK).unlink(missing_ok=True)
            os.close(file)
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()  # nothing was written


def locked(path: Path) -> int | None:
    """Open and lock a file; 0 if another holds it, None where there are no locks."""
    if fcntl is None:
        return None
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_ino == os.stat(path).st_ino:
                since = f"{pd.Timestamp.now():%Y-%m-%d %H:%M}"
                who = f"process {os.getpid()} on {socket.gethostname()}, since {since},"
                os.ftruncate(file, 0)
                os.write(file, who.encode())
                return file
        except BlockingIOError:
            os.close(file)
            return 0
        except FileNotFoundError:  # whoever held it has just removed it
            pass
        except OSError:
            os.close(file)
            return None
        os.close(file)


def csv(frame: pd.DataFrame, **options: Any) -> str:
    """A table as CSV: ISO dates, ten digits, what is not known left empty.

    A text that a spreadsheet would run as a formula (it begins with =, +, -, @, a tab or a
    line break) gets an apostrophe before it, column names too; :func:`plain` takes it off.
    A lone carriage return, which ends a row for some readers, is written as a line break.
    """
    how: dict[str, Any] = {
        "index": False,
        "float_format": "%.10g",
        "lineterminator": "\n",
        "date_format": "%Y-%m-%d",
    }
    return _texts(frame, rf"^{FORMULA}", "'").to_csv(**(how | options))


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """A table that was read from a CSV of :func:`csv`, texts as they were."""
    return _texts(frame, rf"^'{FORMULA}", "")


def _texts(frame: pd.DataFrame, pattern: str, by: str) -> pd.DataFrame:
    """The table with a pattern replaced in its texts and in the names of its columns."""
    one = lambda x: (
        re.sub(pattern, by, re.sub("\r\n?", "\n", x)) if isinstance(x, str) else x
    )
    columns = [frame.iloc[:, i] for i in range(frame.shape[1])]
    words = [x if x.dtype.kind in "bifcmM" else x.map(one) for x in columns]
    found = pd.concat(words, axis=1) if words else frame.copy()
    return found.set_axis([one(column) for column in frame.columns], axis=1)
