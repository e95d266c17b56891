"""A bare workspace of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.workspace.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder that a test fills."""
    folder = tmp_path / "ws"
    folder.mkdir()
    return folder


@pytest.fixture
def workspace(root: Path) -> Workspace:
    """The workspace at that folder."""
    return Workspace.open(root)
