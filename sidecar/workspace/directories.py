"""Opening beneath a root, whatever links say and whoever exchanges them meanwhile.

Linux: ``openat2`` with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS, where the
kernel has it. Other POSIX systems, and sandboxes that forbid the call: one O_NOFOLLOW open per
component, each relative to the descriptor before it. Links inside the workspace are resolved by
``Tree.canonical`` first, so that the deny list judges what is really opened. Windows has no
descriptor-relative opens: see ``windows_directories``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sidecar.workspace import paths, trouble
from sidecar.workspace.windows_directories import PathDirectory

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | _CLOEXEC
# Never wait for a FIFO's other end, never become the terminal of a device.
_NEVER_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_LINKS_FOLLOWED = 40
_OPENAT2 = 437
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2  # linux/fs.h
_RESOLVE = 0x02 | 0x04 | 0x08  # NO_MAGICLINKS, NO_SYMLINKS, BENEATH (linux/openat2.h)
_PATH_ONLY = getattr(os, "O_PATH", 0)
_MISSING = {errno.ENOENT, errno.ENOTDIR}


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _renamed(folder: int, source: str, name: str, flags: int) -> bool:
    """Rename by renameat2; False where the system or the file system lacks it. Raises OSError."""
    if not hasattr(_libc, "renameat2"):
        return False
    assert _libc is not None  # noqa: S101 - for the type checker
    names = (os.fsencode(source), os.fsencode(name))
    if _libc.renameat2(folder, names[0], folder, names[1], flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.ENOSYS, errno.EINVAL, errno.EPERM}:
        return False
    raise OSError(code, os.strerror(code))


class Directory(Protocol):
    """One open folder, by whose handle everything in it is reached."""

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """A descriptor of a file here; a link is refused with OSError."""

    def child(self, name: str) -> Directory:
        """A folder here, opened; a link is refused with OSError."""

    def make(self, name: str) -> None:
        """Create a folder here, unless it exists."""

    def status(self, name: str) -> os.stat_result:
        """The status of an entry, of the link itself where it is one."""

    def target(self, name: str) -> str:
        """Where a link points; raises OSError where the entry is none."""

    def replace(self, source: str, name: str) -> None:
        """Rename an entry over another, atomically."""

    def place(self, source: str, name: str) -> None:
        """Rename an entry to a free name; raises FileExistsError where it is taken."""

    def exchange(self, source: str, name: str) -> bool:
        """Let two entries change places, atomically; False where the system cannot."""

    def remove(self, name: str) -> None:
        """Unlink a file."""

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""

    def names(self) -> list[str]:
        """The names of all entries, sorted."""

    def sync(self) -> None:
        """Make renames and new entries durable."""

    def close(self) -> None:
        """Release the handle."""


@dataclass(frozen=True, slots=True)
class DescriptorDirectory:
    """A folder by its descriptor."""

    descriptor: int

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """A descriptor of a file here; a link is refused with OSError."""
        return os.open(
            name, flags | _NOFOLLOW | _NEVER_WAIT | _CLOEXEC, mode, dir_fd=self.descriptor
        )

    def child(self, name: str) -> DescriptorDirectory:
        """A folder here, opened; a link is refused with OSError."""
        flags = os.O_RDONLY | _DIRECTORY | _NOFOLLOW
        return DescriptorDirectory(os.open(name, flags, dir_fd=self.descriptor))

    def make(self, name: str) -> None:
        """Create a folder here, unless it exists."""
        try:
            os.mkdir(name, dir_fd=self.descriptor)
        except FileExistsError:
            return
        self.sync()

    def status(self, name: str) -> os.stat_result:
        """The status of an entry, of the link itself where it is one."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def target(self, name: str) -> str:
        """Where a link points; raises OSError where the entry is none."""
        return os.readlink(name, dir_fd=self.descriptor)

    def replace(self, source: str, name: str) -> None:
        """Rename an entry over another, atomically."""
        os.replace(source, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def place(self, source: str, name: str) -> None:
        """Rename an entry to a free name; raises FileExistsError where it is taken."""
        if not _renamed(self.descriptor, source, name, _RENAME_NOREPLACE):
            if self._taken(name):
                raise FileExistsError(errno.EEXIST, "taken")
            self.replace(source, name)

    def _taken(self, name: str) -> bool:
        try:
            self.status(name)
        except FileNotFoundError:
            return False
        return True

    def exchange(self, source: str, name: str) -> bool:
        """Let two entries change places, atomically; False where the system cannot."""
        return _renamed(self.descriptor, source, name, _RENAME_EXCHANGE)

    def remove(self, name: str) -> None:
        """Unlink a file."""
        os.unlink(name, dir_fd=self.descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(name, dir_fd=self.descriptor)

    def names(self) -> list[str]:
        """The names of all entries, sorted."""
        return sorted(os.listdir(self.descriptor))  # noqa: PTH208

    def sync(self) -> None:
        """Make renames and new entries durable."""
        os.fsync(self.descriptor)

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self.descriptor)


def _openat2(root: int, path: str, flags: int) -> int:
    """A descriptor beneath a folder; raises OSError, with ENOSYS where the call is missing."""
    if _libc is None:
        raise OSError(errno.ENOSYS, "openat2")
    how = _OpenHow(flags | _CLOEXEC, 0, _RESOLVE)
    arguments = (_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    descriptor = int(_libc.syscall(*arguments))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "openat2")
    return descriptor


def has_openat2() -> bool:
    """Whether this kernel and sandbox allow openat2."""
    try:
        os.close(_openat2(-100, ".", os.O_RDONLY | _DIRECTORY))  # -100: AT_FDCWD
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Tree:
    """A root folder and the ways into it; ``fast`` says whether openat2 may be used."""

    root: Path
    fast: bool

    def _root(self) -> Directory:
        if os.open not in os.supports_dir_fd:
            return PathDirectory(self.root, self.root)
        return DescriptorDirectory(os.open(self.root, os.O_RDONLY | _DIRECTORY))

    @contextmanager
    def directory(self, path: str, *, create: bool = False) -> Iterator[Directory]:
        """An open folder of the workspace; raises OSError, ELOOP or ENOTDIR at a link."""
        try:
            opened = self._opened(path)
        except FileNotFoundError:
            if not create:
                raise
            opened = self._walked(path, create=True)
        try:
            yield opened
        finally:
            opened.close()

    def _opened(self, path: str) -> Directory:
        if not (self.fast and path):
            return self._walked(path, create=False)
        root = os.open(self.root, os.O_RDONLY | _DIRECTORY)
        try:
            return DescriptorDirectory(_openat2(root, path, os.O_RDONLY | _DIRECTORY))
        finally:
            os.close(root)

    def _walked(self, path: str, *, create: bool) -> Directory:
        current = self._root()
        for name in paths.parts(path):
            try:
                if create:
                    current.make(name)
                inner = current.child(name)
            finally:
                current.close()
            current = inner
        return current

    def open(self, path: str) -> int:
        """A descriptor for reading a regular file; raises OSError, SidecarError."""
        if self.fast and path:
            root = os.open(self.root, os.O_RDONLY | _DIRECTORY)
            try:
                descriptor = _openat2(root, path, os.O_RDONLY | _NEVER_WAIT)
            finally:
                os.close(root)
        else:
            folder, _, name = path.rpartition("/")
            with self.directory(folder) as directory:
                descriptor = directory.open(name or ".", os.O_RDONLY)
        return regular(descriptor, path)

    def seen(self, path: str) -> bool | None:
        """Whether something is there, by one look; None where links or errors need a closer one."""
        if not (self.fast and path):
            return None
        with suppress(OSError):
            root = os.open(self.root, os.O_RDONLY | _DIRECTORY)
            try:
                os.close(_openat2(root, path, _PATH_ONLY))
            except OSError as error:
                return False if error.errno in _MISSING else None
            else:
                return True
            finally:
                os.close(root)
        return None

    def canonical(self, path: str) -> str:
        """The path with links inside the workspace resolved; it need not exist.

        Raises E_PATH_OUTSIDE where a link is absolute or leads out.
        """
        pending = list(paths.parts(path))
        if self.seen("/".join(pending)) is not None:
            return "/".join(pending)
        real: list[str] = []
        for _ in range(_LINKS_FOLLOWED):
            rest = self._to_first_link(real, pending)
            if rest is None:
                return "/".join([*real, *pending])
            target, pending = rest
            real = _spliced(real, target, path)
            pending = [*real, *pending]
            real = []
        raise trouble.outside(path)

    def _to_first_link(self, real: list[str], pending: list[str]) -> tuple[str, list[str]] | None:
        """Move names from pending to real up to the first link: its target and what follows."""
        current = self._root()
        try:
            while pending:
                try:
                    if stat.S_ISLNK(current.status(pending[0]).st_mode):
                        return current.target(pending[0]), pending[1:]
                    if len(pending) == 1:
                        return None
                    inner = current.child(pending[0])
                except OSError as error:
                    if error.errno == errno.ENAMETOOLONG:
                        raise
                    return None
                real.append(pending.pop(0))
                current.close()
                current = inner
            return None
        finally:
            current.close()


def _spliced(folder: list[str], target: str, path: str) -> list[str]:
    if target.startswith("/"):
        raise trouble.outside(path)
    joined = list(folder)
    for part in target.split("/"):
        if part == "..":
            if not joined:
                raise trouble.outside(path)
            joined.pop()
        elif part not in {"", "."}:
            joined.append(part)
    return joined


def regular(descriptor: int, path: str) -> int:
    """The descriptor, if it is of a regular file; otherwise it is closed and refused."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise trouble.not_regular(path, "a folder" if stat.S_ISDIR(mode) else "a pipe or a device")
