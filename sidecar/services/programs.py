"""The programs that tools can make use of, and which versions of them the user has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sidecar.services.context import Context
from sidecar.services.trust import is_trusted

PROBED = ("git", "rg", "node", "python3")
PROBE_SECONDS = 2.0


def versions(context: Context) -> dict[str, str]:
    """The programs on the user's path; they are started, for their versions, only with consent."""
    root = context.workspace.root
    if not is_trusted(context):
        found = {name: shutil.which(name, path=outside(root)) for name in PROBED}
        return {name: "found, not asked" if path else "not found" for name, path in found.items()}
    with ThreadPoolExecutor(len(PROBED)) as executor:
        told = executor.map(lambda name: _version(name, root), PROBED)
        return dict(zip(PROBED, told, strict=True))


def _version(name: str, root: Path) -> str:
    found = shutil.which(name, path=outside(root))
    if found is None:
        return "not found"
    try:
        answer = subprocess.run(  # noqa: S603 - a program of the user's own path, no shell
            [found, "--version"],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            cwd=Path(sys.prefix),
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "no answer"
    lines = (answer.stdout or answer.stderr).splitlines()
    return lines[0][:80] if lines else "no answer"


def outside(root: Path) -> str:
    """The search path without relative folders and those of the workspace."""
    folders = (Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each)
    return os.pathsep.join(
        str(folder)
        for folder in folders
        if folder.is_absolute() and not folder.resolve().is_relative_to(root)
    )
