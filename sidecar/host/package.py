"""Whether the installed package is still the one that this process was started from."""

from __future__ import annotations

import os
from typing import NamedTuple

import sidecar

# An installer takes the old files away before it writes the new ones.
SETTLED_LOOKS = 4


class _Stamp(NamedTuple):
    device: int
    inode: int
    modified: int
    size: int


class Package:
    """The package as it was when the process began; it imports parts of it later."""

    def __init__(self, path: str = str(sidecar.__file__)) -> None:
        self._path = path
        self._began = self._last = _stamp(path)
        self._alike = 0

    def is_renewed(self) -> bool:
        """Whether it is another one, and has been the same other one for so many looks."""
        found = _stamp(self._path)
        self._alike = self._alike + 1 if found == self._last else 0
        self._last = found
        renewed = found not in {None, self._began}
        return renewed and self._alike >= SETTLED_LOOKS


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return _Stamp(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
