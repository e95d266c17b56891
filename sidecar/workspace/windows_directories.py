"""The nearest thing to descriptor-relative opens on Windows.

Windows gives Python no ``dir_fd``. Each step therefore refuses reparse points (links and
junctions) by ``lstat`` and compares the file's real path with the root after opening it. A link
exchanged between the two is noticed for reads, before any byte is returned; for a rename there
remains a window of microseconds, which only a process of the same user could use.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_REPARSE_POINT = 0x400  # winnt.h, FILE_ATTRIBUTE_REPARSE_POINT


@dataclass(frozen=True, slots=True)
class PathDirectory:
    """A folder by its path, checked against the root at every use."""

    root: Path
    path: Path

    def _checked(self, name: str) -> Path:
        entry = self.path / name
        try:
            status = os.lstat(entry)
        except FileNotFoundError:
            return entry
        linked = stat.S_ISLNK(status.st_mode)
        if linked or getattr(status, "st_file_attributes", 0) & _REPARSE_POINT:
            raise OSError(errno.ELOOP, "link")
        return entry

    def _confined(self, entry: Path) -> None:
        if not entry.resolve().is_relative_to(self.root.resolve()):
            raise OSError(errno.EXDEV, "outside")

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """A descriptor of a file here; a link is refused with OSError."""
        entry = self._checked(name)
        descriptor = os.open(entry, flags | _BINARY, mode)
        try:
            self._confined(entry)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def child(self, name: str) -> PathDirectory:
        """A folder here; a link is refused with OSError."""
        entry = self._checked(name)
        self._confined(entry)
        if not entry.is_dir():
            code = errno.ENOTDIR if entry.exists() else errno.ENOENT
            raise OSError(code, "not a folder")
        return PathDirectory(self.root, entry)

    def make(self, name: str) -> None:
        """Create a folder here, unless it exists."""
        self._checked(name).mkdir(exist_ok=True)

    def status(self, name: str) -> os.stat_result:
        """The status of an entry, of the link itself where it is one."""
        return os.lstat(self.path / name)

    def target(self, name: str) -> str:
        """Where a link points, with forward slashes; raises OSError where the entry is none."""
        return (self.path / name).readlink().as_posix()

    def replace(self, source: str, name: str) -> None:
        """Rename an entry over another, atomically."""
        self._confined(self.path)
        (self.path / source).replace(self._checked(name))

    def place(self, source: str, name: str) -> None:
        """Rename an entry to a free name; raises FileExistsError where it is taken."""
        self._confined(self.path)
        (self.path / source).rename(self._checked(name))

    def exchange(self, source: str, name: str) -> bool:  # noqa: ARG002 - the protocol's signature
        """Never possible here."""
        return False

    def remove(self, name: str) -> None:
        """Unlink a file."""
        self._confined(self.path)
        (self.path / name).unlink()

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        self._confined(self.path)
        (self.path / name).rmdir()

    def names(self) -> list[str]:
        """The names of all entries, sorted."""
        return sorted(entry.name for entry in self.path.iterdir())

    def sync(self) -> None:
        """Nothing: NTFS journals renames, and a folder cannot be flushed."""

    def close(self) -> None:
        """Nothing: no handle is kept."""
