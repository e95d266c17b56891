"""Which folder a command means; light, for the commands that must start at once."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace.layout import find_root


def root_of(options: argparse.Namespace) -> Path:
    """The workspace's folder that the options mean; raises SidecarError E_NOT_FOUND."""
    given: Path | None = options.workspace
    root = given if given is not None else find_root(Path.cwd(), os.environ)
    if not root.is_dir():
        raise SidecarError(
            ErrorCode.NOT_FOUND, f"There is no folder `{root}`.", hint="Name one by --workspace."
        )
    return root.resolve()
