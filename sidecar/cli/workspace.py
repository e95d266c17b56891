"""Which workspace a command means, and its settings."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Client, Context
from sidecar.settings import LoadedSettings, load
from sidecar.workspace.layout import find_root
from sidecar.workspace.user_dirs import UserDirs
from sidecar.workspace.workspace import Workspace


def root_of(options: argparse.Namespace) -> Path:
    """The workspace's folder that the options mean; raises SidecarError E_NOT_FOUND."""
    given: Path | None = options.workspace
    root = given if given is not None else find_root(Path.cwd(), os.environ)
    if not root.is_dir():
        raise SidecarError(
            ErrorCode.NOT_FOUND, f"There is no folder `{root}`.", hint="Name one by --workspace."
        )
    return root.resolve()


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
        print(f"sidecar: {problem.path or 'settings'}: {problem.message}", file=sys.stderr)
