"""One workspace: its root, its files, its state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """A folder in which agents work, opened; opening creates nothing."""

    root: Path
