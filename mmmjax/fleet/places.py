"""Where the files of a fleet lie: a local folder, or any URL that fsspec opens.

Files have names relative to the place, "/" between folders. A local file appears whole or
not at all (temporary file, sync, rename); an object behind a URL is one put.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from mmmjax.checks import Phrase, fail
from mmmjax.resources import (
    Unwritten,
    clean,
    enough_disk,
    only_run,
    replace_file,
    usable_path,
)

__all__ = ["MARKETS", "Local", "Remote", "place"]

MARKETS = "markets"  # folder of their files
ABREAST = 32  # requests at a time
BLOCK = 2**16  # bytes of a request, where a file is read in parts


@dataclass(frozen=True)
class Local:
    """A folder of this machine.

    Args:
        root: The folder.
    """

    root: Path

    def make(self, folder: str = "") -> None:
        """Create the place, or a folder in it."""
        (self.root / folder).mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def only_run(self) -> Iterator[None]:
        """Hold the place as the only run in it; what dead ones left half is removed."""
        clean(self.root / MARKETS)
        with only_run("store", self.root):
            yield

    def room(self, needed: float, of: str) -> None:
        """Refuse what its disk has no room for."""
        fix = "make room, ask for fewer draws, or name a folder on another disk"
        enough_disk("store", self.root, needed, of, fix)

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; none if there is no such folder."""
        try:
            return os.listdir(self.root / folder)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """Content of a file."""
        return (self.root / name).read_bytes()

    def read_all(self, names: Iterable[str]) -> Iterator[bytes]:
        """Content of many files, in order."""
        return map(self.read, names)

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place."""
        replace_file(self.root / name, content)

    def opened(self, name: str) -> Any:
        """What xarray reads a file from, in parts."""
        return str(self.root / name)

    def __str__(self) -> str:
        """The path."""
        return str(self.root)


@dataclass(frozen=True)
class Remote:
    """A folder behind a URL.

    Args:
        url: As it was given.
        fs: Its file system.
        root: Its path there.
    """

    url: str
    fs: AbstractFileSystem
    root: str

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}" if name else self.root

    def make(self, folder: str = "") -> None:
        """Create the place, or a folder in it, where there are folders."""
        self.fs.makedirs(self._path(folder), exist_ok=True)

    @contextlib.contextmanager
    def only_run(self) -> Iterator[None]:
        """Two runs share it: each object is one put, and the same draws whoever puts it."""
        yield

    def room(self, needed: float, of: str) -> None:
        """Nobody knows; what cannot be put ends the run."""

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; none if there is no such folder."""
        self.fs.invalidate_cache()  # others write there too
        try:
            found = self.fs.ls(self._path(folder), detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rsplit("/", 1)[-1] for path in found]

    def read(self, name: str) -> bytes:
        """Content of a file."""
        content: Any = self.fs.cat_file(self._path(name))
        return content

    def read_all(self, names: Iterable[str]) -> Iterator[bytes]:
        """Content of many files, in order, many at a time."""
        with ThreadPoolExecutor(ABREAST) as pool:
            yield from pool.map(self.read, names)

    def write(self, name: str, content: bytes) -> None:
        """Put an object in its place."""
        path = self._path(name)
        try:
            self.fs.pipe_file(path, bytes(content))
        except OSError as error:
            raise Unwritten(error.errno, error.strerror or str(error), path) from error

    def opened(self, name: str) -> Any:
        """What xarray reads a file from, in parts."""
        path = self._path(name)
        return self.fs.open(path, "rb", block_size=BLOCK, cache_type="blockcache")

    def __str__(self) -> str:
        """The URL."""
        return self.url


def place(path: str | os.PathLike[str]) -> Local | Remote:
    """The place of a path or URL; nothing is created.

    Args:
        path: A local path, ``file://...``, or a URL such as ``s3://bucket/runs/x``.

    Raises:
        InputError: A file where a folder should be, or a URL that nothing here opens.
    """
    text = os.fspath(path)
    if "://" in text and not text.startswith(("file://", "local://")):
        return _remote(text)
    local = Path(text.partition("://")[2] if "://" in text else text)
    if local.is_file():
        fail("store", Phrase(f'the file "{local}"'), "", "a folder", "name another")
    return Local(usable_path("store", local))


def _remote(url: str) -> Remote:
    allowed = "a folder, or a URL that fsspec opens, such as s3://bucket/runs/x"
    try:
        fs, root = url_to_fs(url)
    except ImportError as error:  # fsspec says which package is missing
        got = Phrase(f'"{url}", which needs a package: {error}')
        fail("store", got, "", allowed, "pip install it, or name a local folder")
    except ValueError as error:
        fail("store", Phrase(f'"{url}": {error}'), "", allowed, "correct the URL")
    return Remote(url, fs, str(root))
