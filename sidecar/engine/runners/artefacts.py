"""Files that a runner leaves in its attempt's folder: the owner's alone, through no link.

The folder may lie in the workspace, where a stranger could have put a link of the same name.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def write(folder: Path, name: str, text: str) -> Path:
    """Put a text into a file of the folder; returns its path, raises OSError."""
    with _opened(folder, name, os.O_TRUNC) as file:
        file.write(text.encode("utf-8", "replace"))
    return folder / name


def append(folder: Path, name: str) -> BinaryIO:
    """A file of the folder, open for writing at its end; raises OSError."""
    return _opened(folder, name, os.O_APPEND)


def _opened(folder: Path, name: str, how: int) -> BinaryIO:
    directory = os.open(folder, _DIRECTORY)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | how
        descriptor = os.open(name, flags, 0o600, dir_fd=directory)
    finally:
        os.close(directory)
    return os.fdopen(descriptor, "wb")
