"""A caller's view with a queue of runs: the real one, on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.sqlite_database import SqliteDatabase
from sidecar.services.context import Context


@pytest.fixture
def queueing(context: Context, tmp_path: Path) -> Iterator[Context]:
    """The context with a queue on which nobody works."""
    queue = DurableQueue(SqliteDatabase(tmp_path / "engine" / "engine.sqlite"))
    yield replace(context, queue=queue)
    queue.close()
