"""Run the program as a person does: a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sidecar(tmp_path: Path, user_directory: Path) -> Run:
    """Run ``sidecar`` with these words in a folder; the answer holds exit code and output."""

    def run(*words: str, cwd: Path = tmp_path, **environment: str):
        return subprocess.run(
            [sys.executable, "-P", "-m", "sidecar", *map(str, words)],
            cwd=cwd,
            env=os.environ | {"COLUMNS": "120"} | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run
