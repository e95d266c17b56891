"""Opens a workspace for a command or a sidecar, with the settings that are in force there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sidecar.channel.frames import RUN_MARK
from sidecar.services.context import Client, Context
from sidecar.settings import LoadedSettings, load
from sidecar.workspace.user_dirs import UserDirs
from sidecar.workspace.workspace import Workspace


def open_workspace(root: Path, *, code_allowed: bool = False) -> Context:
    """The view of whoever starts a command: a person, or a run's agent by its environment's mark.

    Settings that were not taken are said on stderr.
    """
    loaded = load(root, UserDirs.locate().config / "config.toml")
    report_settings(loaded)
    settings = loaded.settings
    workspace = Workspace.open(root, state_dir=settings.state_dir, protected=settings.protected)
    client = Client("cli", run=os.environ.get(RUN_MARK, ""))
    return Context(workspace, settings, client=client, code_allowed=code_allowed)


def report_settings(loaded: LoadedSettings) -> None:
    """Say which settings were not taken, and why."""
    for problem in loaded.problems:
        sys.stderr.write(f"sidecar: {problem.path or 'settings'}: {problem.message}\n")
