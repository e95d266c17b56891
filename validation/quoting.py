"""What stood where a check failed, so that the place is found again in a text that was edited."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from validation.checks import Check

BYTES = 4_000_000
CHARACTERS = 1000


def quoted(checks: Iterable[Check], root: Path, started: datetime) -> tuple[Check, ...]:
    """The checks, bad ones with the line before theirs and their line, a newline between them.

    A file that was changed while the run went on is not quoted: nobody knows what was executed.
    """
    texts: dict[str, list[str]] = {}
    since = started.timestamp()
    found = []
    for check in checks:
        if check.bad and check.file and check.line:
            if check.file not in texts:
                texts[check.file] = _lines(root, check.file, since)
            check = replace(check, quote=_quote(texts[check.file], check.line))  # noqa: PLW2901
        found.append(check)
    return tuple(found)


def _quote(lines: list[str], number: int) -> str:
    if number > len(lines):
        return ""
    before = lines[number - 2] if number > 1 else ""
    return f"{before[:CHARACTERS]}\n{lines[number - 1][:CHARACTERS]}"


def _lines(root: Path, name: str, since: float) -> list[str]:
    """A file's lines as other tools count them; none where it cannot be said what they were."""
    path = root / name
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            return []
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            whole = stat.S_ISREG(status.st_mode) and status.st_size <= BYTES
            if not whole or status.st_mtime > since:
                return []
            text = file.read(BYTES).decode("utf-8")
    except (OSError, ValueError):
        return []
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
