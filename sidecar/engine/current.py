"""The settings in force where runs are executed: read again when one of their files changes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sidecar.engine.runner import Work
from sidecar.services.context import Context
from sidecar.settings import load

# What was opened with the value that it had then.
_KEPT = ("state_dir", "protected", "engine_url", "workspace_ids", "concurrent_runs", "execute")
_FILES = ("sidecar.toml", "pyproject.toml")


class Current:
    """A workspace's context, and the work on its runs, by the settings as they lie on disk.

    A person may change a runner and consent to it while a sidecar executes: what is compared with
    the consent must be what would be executed.
    """

    def __init__(self, context: Context, make: Callable[[Context], Work]) -> None:
        self._make = make
        self._user_file = context.workspace.user.config / "config.toml"
        self._files = [self._user_file, *(context.workspace.root / name for name in _FILES)]
        self._guard = threading.Lock()
        self._stamp = self._look()
        self._context = context
        self._work = make(context)

    def get(self) -> tuple[Context, Work]:
        """The context and the work of this moment; the same ones while no file has changed."""
        with self._guard:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload()
            return self._context, self._work

    def _reload(self) -> None:
        before = self._context.settings
        fresh = load(self._context.workspace.root, self._user_file).settings
        kept = {name: getattr(before, name) for name in _KEPT}
        self._context = replace(self._context, settings=fresh.model_copy(update=kept))
        self._work = self._make(self._context)

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._files]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - asked before each run
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
