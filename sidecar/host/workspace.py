"""Opens a workspace for a command or a sidecar, with the settings that are in force there."""

from __future__ import annotations

import sys
from pathlib import Path

from sidecar.services.context import Client, Context
from sidecar.settings import LoadedSettings, load
from sidecar.workspace.user_dirs import UserDirs
from sidecar.workspace.workspace import Workspace


def open_workspace(root: Path, *, code_allowed: bool = False) -> Context:
    """A person's view of a workspace; settings that were not taken are said on stderr."""
    loaded = load(root, UserDirs.locate().config / "config.toml")
    report_settings(loaded)
    settings = loaded.settings
    workspace = Workspace.open(root, state_dir=settings.state_dir, protected=settings.protected)
    return Context(workspace, settings, client=Client("cli"), code_allowed=code_allowed)


def report_settings(loaded: LoadedSettings) -> None:
    """Say which settings were not taken, and why."""
    for problem in loaded.problems:
        sys.stderr.write(f"sidecar: {problem.path or 'settings'}: {problem.message}\n")
