"""Durable changes of one file in an open folder: whole, or not at all."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from sidecar.domain.errors import SidecarError
from sidecar.workspace.directories import Directory, regular
from sidecar.workspace.flushing import flush_all, flush_data

TEMPORARY_PREFIX = ".sidecar-"
TEMPORARY_SUFFIX = ".tmp"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a file from another without reading it."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp in a status."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def same_content(self, other: Stamp) -> bool:
        """Whether nothing but names and permissions can differ: a rename changes the ctime."""
        mine = (self.inode, self.size, self.modified_ns)
        return mine == (other.inode, other.size, other.modified_ns)


def is_temporary(name: str) -> bool:
    """Whether a file name is one of our unfinished writes."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_all(descriptor: int, limit: int) -> bytes:
    """At most ``limit + 1`` bytes, so that the caller sees whether there was more."""
    found: list[bytes] = []
    left = limit + 1
    while left > 0:
        chunk = os.read(descriptor, min(_CHUNK, left))
        if not chunk:
            break
        found.append(chunk)
        left -= len(chunk)
    return b"".join(found)


def stamp_of(directory: Directory, name: str) -> Stamp | None:
    """The stamp of a file, or None where there is none."""
    try:
        return Stamp.of(directory.status(name))
    except FileNotFoundError:
        return None


def _like(descriptor: int, status: os.stat_result) -> None:
    if sys.platform != "win32":
        mine = os.fstat(descriptor)
        if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
            # Only root may give files away, and the content matters more than the owner.
            with suppress(PermissionError):
                os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def prepare(directory: Directory, data: bytes, like: os.stat_result | None) -> str:
    """Write a durable temporary file beside the target, with its mode and owner; its name."""
    return prepare_all([(directory, data)], like)[0]


def prepare_all(
    files: Sequence[tuple[Directory, bytes]],
    like: os.stat_result | None = None,
    *,
    durable: bool = True,
) -> list[str]:
    """Write several temporary files, each in its folder; their names."""
    names: list[str] = []
    descriptors: list[int] = []
    try:
        for directory, data in files:
            names.append(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
            descriptors.append(_created(directory, names[-1], like))
            write_all(descriptors[-1], data)
            if like is not None:
                _like(descriptors[-1], like)
        if durable:
            flush_all(descriptors)
    except BaseException:
        for (directory, _), name in zip(files, names[: len(descriptors)], strict=False):
            with suppress(FileNotFoundError):
                directory.remove(name)
        raise
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return names


def _created(directory: Directory, name: str, like: os.stat_result | None) -> int:
    mode = 0o666 if like is None else 0o600
    return directory.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)


class ForeignWriterError(Exception):
    """The file was changed by another program between reading and replacing it."""


def swap(directory: Directory, temporary: str, name: str, expected: Stamp | None) -> None:
    """Put a prepared file in a file's place if that is still as expected.

    Raises ForeignWriterError otherwise, leaving the other program's file where it was. Where the
    system can exchange names, not even a save between the comparison and the rename is lost.
    """
    if stamp_of(directory, name) != expected:
        raise ForeignWriterError
    if expected is None:
        _place(directory, temporary, name)
    elif _exchange(directory, temporary, name):
        _verify_displaced(directory, temporary, name, expected)
    else:
        directory.replace(temporary, name)


def _place(directory: Directory, temporary: str, name: str) -> None:
    try:
        directory.place(temporary, name)
    except FileExistsError:
        raise ForeignWriterError from None


def _exchange(directory: Directory, temporary: str, name: str) -> bool:
    try:
        return directory.exchange(temporary, name)
    except FileNotFoundError:
        raise ForeignWriterError from None


def _verify_displaced(directory: Directory, temporary: str, name: str, expected: Stamp) -> None:
    """Remove the file that was displaced, or put it back where it is not the expected one."""
    occupant = stamp_of(directory, name)
    displaced = stamp_of(directory, temporary)
    if displaced is not None and displaced.same_content(expected):
        directory.remove(temporary)
        return
    while True:
        _exchange(directory, temporary, name)
        back = stamp_of(directory, temporary)
        if back is None or occupant is None or back.inode == occupant.inode:
            raise ForeignWriterError
        # Yet another save came between: it is the newest, so it has to stand there.
        occupant, displaced = displaced, back


class OtherNamesError(Exception):
    """The file is hard-linked elsewhere: bytes added in place would reach the other names."""


@contextmanager
def appending(
    directory: Directory, name: str, added: Sequence[bytes]
) -> Iterator[Callable[[], None]]:
    """Add pieces at the end in one write, each beginning on a new line.

    The block gets the function that makes them durable. They are taken away again where it fails.
    Raises OtherNamesError.
    """
    descriptor, created = _opened_to_append(directory, name)
    try:
        status = os.fstat(descriptor)
        if status.st_nlink > 1:
            raise OtherNamesError
        size = status.st_size
        data = _on_lines_of_their_own(_last_byte(descriptor, size), added)
        try:
            write_all(descriptor, data)
            yield partial(flush_data, descriptor)
        except (OSError, SidecarError):
            _take_back(descriptor, size, data)  # half a row would be worse than none
            raise
    finally:
        os.close(descriptor)
    if created:
        directory.sync()


def _opened_to_append(directory: Directory, name: str) -> tuple[int, bool]:
    """A descriptor, and whether the file is new."""
    flags = os.O_RDWR | os.O_APPEND
    try:
        return regular(directory.open(name, flags), name), False
    except FileNotFoundError:
        return regular(directory.open(name, flags | os.O_CREAT), name), True


def _on_lines_of_their_own(last: bytes, added: Sequence[bytes]) -> bytes:
    pieces: list[bytes] = []
    for data in added:
        pieces += [separator(last), data]
        last = data[-1:] or last
    return b"".join(pieces)


def separator(last: bytes) -> bytes:
    """What must stand between a file's last byte and a new line."""
    return b"" if last in {b"", b"\n", b"\r"} else b"\n"


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, max(0, size - 1), os.SEEK_SET)
    return os.read(descriptor, 1)


def _take_back(descriptor: int, size: int, data: bytes) -> None:
    """Cut off what was written of the data, unless a foreign writer has added to it since."""
    os.lseek(descriptor, size, os.SEEK_SET)
    if data.startswith(read_all(descriptor, len(data))):
        os.ftruncate(descriptor, size)
