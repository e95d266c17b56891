"""What a run leaves for people, in the workspace's state folder: bounded, and never read back."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.workspace.state import State

_log = logging.getLogger(__name__)
FOLDER = "runs"
# The state folder's README names this number.
KEPT = 100


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; its name is the run's."""

    state: State
    name: str

    def attempt(self, number: int) -> Path:
        """The folder of one attempt, made unless it is there; links are not followed."""
        return self.state.make(f"{FOLDER}/{self.name}/attempt-{number}")

    def write(self, file: str, text: str) -> None:
        """Replace one of the run's files; what cannot be kept for people costs no run its end."""
        try:
            self.state.write(f"{FOLDER}/{self.name}/{file}", text.encode("utf-8", "replace"))
        except SidecarError as error:
            _log.warning("`%s` of %s is not kept: %s", file, self.name, error)

    def write_json(self, file: str, value: Any) -> None:
        """Replace one of the run's files by a JSON value."""
        self.write(file, json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")


def forget_old(state: State, ended: Sequence[str]) -> None:
    """Delete the oldest folders beyond those kept, only of runs that are over.

    ``ended`` names those, the oldest first.
    """
    there = set(state.names(FOLDER))
    surplus = max(0, len(there) - KEPT)
    for name in [name for name in ended if name in there][:surplus]:
        state.forget(f"{FOLDER}/{name}")
