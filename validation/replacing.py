"""Files that are written whole or not at all, through no link that somebody planted."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new one; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(6)}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(beside, flags, 0o666), "wb") as file:
            file.write(data)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
