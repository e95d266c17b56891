"""Opens a workspace for a command or a sidecar, with the settings that are in force there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from sidecar.channel.frames import RUN_MARK
from sidecar.domain.settings import Cause
from sidecar.services.context import Client, Context
from sidecar.settings import SettingProblem, load
from sidecar.workspace.layout import SETTINGS_FILES
from sidecar.workspace.user_dirs import UserDirs
from sidecar.workspace.workspace import Workspace


def open_workspace(
    root: Path, *, code_allowed: bool = False, finds_settings: bool = False
) -> Context:
    """The view of whoever starts a command: a person, or a run's agent by its environment's mark.

    Settings that were not taken are said on stderr.
    Whoever ``finds_settings`` says itself what is wrong in the workspace's own settings files.
    """
    loaded = load(root, UserDirs.locate().config / "config.toml")
    report_settings([each for each in loaded.problems if not (finds_settings and _is_found(each))])
    settings = loaded.settings
    workspace = Workspace.open(root, state_dir=settings.state_dir, protected=settings.protected)
    client = Client("cli", run=os.environ.get(RUN_MARK, ""))
    return Context(workspace, settings, client=client, code_allowed=code_allowed)


def _is_found(problem: SettingProblem) -> bool:
    return problem.path in SETTINGS_FILES and problem.cause is not Cause.UNREADABLE


def report_settings(problems: Iterable[SettingProblem]) -> None:
    """Say which settings were not taken, and why."""
    for problem in problems:
        sys.stderr.write(f"sidecar: {problem.path or 'settings'}: {problem.message}\n")
