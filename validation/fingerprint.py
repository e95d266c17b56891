"""A name for the state of a project's files: the same name means that nothing was changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from hashlib import blake2b
from pathlib import Path

from validation import discovery

LARGE_BYTES = 4_000_000
READ_BYTES = 200_000_000


def of(root: Path, leave_out: Collection[Path], *words: str) -> str:
    """Digest of every file's name and content below ``root``, and of some words.

    Of files over 4 MB, and of all after the first 200 MB, size and time stand for the content.
    """
    digest, read = blake2b(digest_size=12), 0
    for path in _files(root, [place.resolve() for place in leave_out]):
        name = path.relative_to(root).as_posix()
        digest.update(_framed(name.encode("utf-8", "surrogateescape")))
        content = _content(path, READ_BYTES - read)
        read += len(content)
        digest.update(_framed(content))
    for word in words:
        digest.update(_framed(word.encode("utf-8", "surrogateescape")))
    return digest.hexdigest()


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def _files(root: Path, leave_out: Collection[Path]) -> Iterator[Path]:
    for path in discovery.walk(root):
        inner = path.relative_to(root).parts[:-1]
        if any(part.startswith(".") for part in inner):
            continue  # caches and state of tools: a run writes there itself
        if not any(path == place or place in path.parents for place in leave_out):
            yield path


def _content(path: Path, most: int) -> bytes:
    """The bytes of a file; of a large one its size and time, of an unreadable one nothing."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_size > min(LARGE_BYTES, most):
            return f"{found.st_size} {found.st_mtime_ns}".encode()
        return file.read(LARGE_BYTES) if stat.S_ISREG(found.st_mode) else b""
