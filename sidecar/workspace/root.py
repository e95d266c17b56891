"""Which folder is the workspace; without pathlib, which clients would wait for."""

from __future__ import annotations

import os
from collections.abc import Mapping

_MARKS = (".roo", ".roomodes", ".zoomodes", ".git")


def nearest_root(start: str, environ: Mapping[str, str]) -> str:
    """The workspace: SIDECAR_WORKSPACE, else the nearest folder with a mark, else the start."""
    if environ.get("SIDECAR_WORKSPACE"):
        return os.path.realpath(os.path.expanduser(environ["SIDECAR_WORKSPACE"]))  # noqa: PTH111
    here = folder = os.path.realpath(start)
    while not any(os.path.exists(os.path.join(folder, mark)) for mark in _MARKS):  # noqa: PTH110, PTH118
        parent = os.path.dirname(folder)  # noqa: PTH120
        if parent == folder:
            return here
        folder = parent
    return folder
