"""The sidecar's log: JSON lines on stderr and, where the workspace has a state folder, in a file.

Opening a workspace creates nothing, so the file begins with the first record after something else
was kept there. Whatever looks like a secret, and every path of this machine, is left out.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from sidecar.domain.errors import SidecarError
from sidecar.workspace.state import State

FILE = "logs/sidecar.jsonl"
FILE_BYTES = 1024 * 1024
FILES_KEPT = 3
_MOST_CHARACTERS = 8_000

_SECRET = re.compile(
    r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"
    r"|\b(\w*(?:token|secret|passw(?:or)?d|api[_-]?key)\w*)([\"']?\s*[:=]\s*[\"']?)[^\s\"',;&]{4,}"
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]+:)[^@\s/]+@")


def start(state: State | None, *, level: int = logging.WARNING) -> None:
    """Send everything that is logged in this process to stderr and to the workspace's file."""
    known = _Told(None if state is None else state.tree.root)
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(known)
    handlers: list[logging.Handler] = [to_stderr]
    if state is not None:
        to_file = StateFile(state)
        to_file.setFormatter(known)
        handlers.append(to_file)
    logging.basicConfig(level=level, handlers=handlers, force=True)


def without_secrets(text: str) -> str:
    """The text with what looks like a secret replaced by dots."""
    text = _URL_PASSWORD.sub(r"\1…@", text)
    return _SECRET.sub(lambda match: f"{match[1] or match[2]}{match[3] or ' '}…", text)


class _Told(logging.Formatter):
    """One JSON object a record, on one line."""

    def __init__(self, root: Path | None) -> None:
        super().__init__()
        # The longer path first: a workspace often lies in the user's home.
        homes = [] if root is None else [(str(root), "<workspace>")]
        with suppress(RuntimeError):
            homes.append((str(Path.home()), "~"))
        self._places = [(path, name) for path, name in homes if len(path) > 1]

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": self._clean(record.getMessage()),
        }
        if record.exc_info:
            told["error"] = self._clean(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)

    def _clean(self, text: str) -> str:
        for path, name in self._places:
            text = text.replace(path, name)
        return without_secrets(text)[-_MOST_CHARACTERS:]


class StateFile(logging.Handler):
    """Appends to the log in the state folder and keeps it small; never fails and creates no folder.

    Several processes may write: each line is one write at the file's end.
    """

    def __init__(self, state: State) -> None:
        super().__init__()
        self._state = state

    def emit(self, record: logging.LogRecord) -> None:
        """Add one record."""
        line = self.format(record).encode("utf-8", "surrogateescape") + b"\n"
        with suppress(OSError, SidecarError):
            if self._state.begun:
                if self._state.size(FILE) + len(line) > FILE_BYTES:
                    self._rotate()
                self._state.append(FILE, line)

    def _rotate(self) -> None:
        names = [FILE, *(f"logs/sidecar.{number}.jsonl" for number in range(1, FILES_KEPT))]
        for newer, older in reversed(list(pairwise(names))):
            if self._state.exists(newer):
                self._state.rename(newer, older)
