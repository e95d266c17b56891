"""A sidecar process that works on the runs of one workspace until it is killed."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.sqlite_database import SqliteDatabase
from tests.engine.agents import Bench


def main() -> None:
    """Work on ``argv[1]``, whose agent and database lie in ``argv[2]``."""
    root, folder = Path(sys.argv[1]), Path(sys.argv[2])
    at = Bench(root, folder, rollback="on-failure")
    database = SqliteDatabase(folder / "engine.sqlite")
    queue = DurableQueue(database, delay=lambda _: timedelta(milliseconds=50))
    at.having(queue=queue)
    queue.work(at.execution, workspace=at.id)
    print("at work", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
