"""Which folder a command means; light, for the commands that must start at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from sidecar.cli.folder import folder_of


def root_of(options: argparse.Namespace) -> Path:
    """The workspace's folder that the options mean; raises SidecarError E_NOT_FOUND."""
    given: Path | None = options.workspace
    return Path(folder_of(None if given is None else str(given)))
