"""A bare workspace of its own for each test, an agent on it, and figures that are printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.agent import Agent

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder that a test fills."""
    folder = tmp_path / "ws"
    folder.mkdir()
    return folder


@pytest.fixture
def agent(root: Path) -> Agent:
    """A caller of the tools on that folder."""
    return Agent.at(root)


@pytest.fixture(scope="session")
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Say a measured figure at the end of the run."""
    return pytestconfig.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the figures, whatever else is shown."""
    if figures := config.stash.get(FIGURES, []):
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)
