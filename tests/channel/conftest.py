"""Clients that a test starts do not outlive it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.channel import clients
from tests.faces.wire import Wire


@pytest.fixture
def start(user_directory: Path) -> Iterator[Callable[..., Wire]]:
    """Starts agents."""
    started: list[Wire] = []

    def begin(root: Path, *options: str, **more: object) -> Wire:
        started.append(clients.agent(root, *options, **more))
        return started[-1]

    yield begin
    for wire in started:
        wire.kill()


@pytest.fixture
def edit(user_directory: Path) -> Iterator[Callable[..., clients.Editor]]:
    """Starts editors."""
    started: list[clients.Editor] = []

    def begin(root: Path, *options: str) -> clients.Editor:
        started.append(clients.Editor(root, *options))
        return started[-1]

    yield begin
    for editor in started:
        editor.kill()
