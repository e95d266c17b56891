"""A bare workspace of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder that a test fills."""
    folder = tmp_path / "ws"
    folder.mkdir()
    return folder
