"""One process of several that compete for a workspace's slots: scheduler, queue and a small work.

    python -m tests.engine.competitor SETTINGS.json

Each attempt appends lines to a file: one when it starts, one when it has ended; the second is
written once for a run, because the work looks whether it is there.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.engine.clock import Clock
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.schedule_source import WorkspaceSource
from sidecar.engine.scheduler import Scheduler
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
from tests.engine.databases import open_database


class Ledger:
    """A file of lines that several processes append to; their order is that of what they tell.

    ``at`` is the wall clock's, which may be set back, and so tells nothing of the order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **entry: object) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(_line(entry))

    def write_once(self, run_id: str, **entry: object) -> None:
        """An effect that carries the run's id: repeated after a kill, it finds what it has done."""
        with self.path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            done = any(e["run"] == run_id and e["what"] == "done" for e in map(json.loads, file))
            told = {"run": run_id, "what": "repeated" if done else "done", **entry}
            file.write(_line(told))


def _line(entry: dict[str, object]) -> str:
    return json.dumps({"pid": os.getpid(), "at": time.time(), **entry}) + "\n"


class LedgerWork:
    """Work that takes a moment and leaves its traces in a ledger."""

    def __init__(self, ledger: Ledger, seconds: float) -> None:
        self.ledger = ledger
        self.seconds = seconds

    def begin(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"slot": request["slot"]}

    def attempt(
        self, request: dict[str, Any], begun: dict[str, Any], number: int, stop: threading.Event
    ) -> dict[str, Any]:
        self.ledger.write(run=request["run_id"], what="start", number=number, slot=begun["slot"])
        if stop.wait(self.seconds):
            self.ledger.write(run=request["run_id"], what="stopped", number=number)
            return {"status": "cancelled", "reason": "told to stop"}
        self.ledger.write_once(request["run_id"])
        return {"status": "succeeded", "reason": "done"}

    def finish(
        self, request: dict[str, Any], begun: dict[str, Any], outcomes: list[dict[str, Any]]
    ) -> dict[str, Any]:
        facts = {"outcomes": len(outcomes), "same": request["slot"] == begun["slot"]}
        return {"facts": facts}

    def recover(self, request: dict[str, Any]) -> None:
        self.ledger.write(run=request["run_id"], what="recover")


def main(path: str) -> None:
    """Compete until told to end."""
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    clock = Clock(given["rate"], datetime.fromisoformat(given["origin"]))
    ledger = Ledger(Path(given["ledger"]))
    work = LedgerWork(ledger, given["seconds"])
    ledger.write(run="", what="up")
    scheduler: Scheduler | None = None
    queue = DurableQueue(
        open_database(Path(given["state"]), given.get("url", "")),
        clock=clock,
        changed=lambda: scheduler.wake() if scheduler else None,
    )
    settings = Settings(timezone="UTC", catch_up=given["catch_up"], runner="ledger")
    workspace = Workspace.open(Path(given["workspace"]))
    context = Context(workspace, settings, clock.now, code_allowed=True, queue=queue)
    source = WorkspaceSource(context)
    scheduler = Scheduler(source, queue, clock)
    while True:
        try:
            queue.work(work, workspace=source.workspace)
            break
        except SidecarError:
            time.sleep(0.5)
    scheduler.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    scheduler.stop()
    queue.close()


if __name__ == "__main__":
    main(sys.argv[1])
