"""The durable queue of runs: any number of processes put runs in, each run is worked on by one.

What a run has achieved is in the database after each step, so that a run goes on elsewhere when
its process dies: a step that was under way is repeated, nothing that is written is.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from sidecar.domain.run import Executing, RunRecord, RunRequest, RunState
from sidecar.engine import run_table
from sidecar.engine.claimed_root import Claimant, claim_root, leading
from sidecar.engine.clock import Clock
from sidecar.engine.database import Database, Session
from sidecar.engine.run_json import milliseconds
from sidecar.engine.runner import Work
from sidecar.engine.worker import Worker
from sidecar.services.backoff import retry_delay

T = TypeVar("T")


def new_executor() -> str:
    """A name that no process, on whatever host, ever had before."""
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:40]
    return f"{host}-{os.getpid()}-{secrets.token_hex(6)}"


class DurableQueue:
    """``services.ports.RunQueue`` over a database, and the work on what is in it.

    ``changed`` is called from a thread whenever any process may have changed a run. A database
    that is out of reach is no hindrance to making one: each question says E_UNAVAILABLE until it
    is there.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock | None = None,
        concurrent_runs: int = 2,
        delay: Callable[[int], timedelta] = retry_delay,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock or Clock()
        self._changed = changed
        self.name = new_executor()
        self._worker = Worker(database, self.name, self._clock, concurrent_runs, delay, self._wake)
        self._guard = threading.Lock()
        self._listening = False

    def enqueue(
        self, request: RunRequest, *, state: RunState = RunState.QUEUED, reason: str = ""
    ) -> RunRecord:
        """Put a run into the queue; the same ``run_id`` gives the run that is there already."""
        now = self._now()
        return self._change(lambda session: run_table.insert(session, request, state, reason, now))

    def get(self, run_id: str) -> RunRecord | None:
        """One run as it stands, None for an unknown id."""
        with self._database.transaction(serial=False) as session:
            return run_table.find(session, run_id)

    def runs(
        self,
        *,
        workspace: str,
        subject: str | None = None,
        states: Collection[RunState] = (),
        limit: int = 100,
    ) -> list[RunRecord]:
        """The runs of a workspace, the newest first; no ``states`` means all."""
        with self._database.transaction(serial=False) as session:
            return run_table.select(session, workspace, subject, states, limit)

    def cancel(self, run_id: str, reason: str) -> bool:
        """Ask a run to end; False where it has ended already or is unknown."""
        now = self._now()
        return self._change(lambda session: run_table.cancel(session, run_id, reason, now))

    def settle(self, run_id: str, state: RunState, *, reason: str = "", result: str = "") -> bool:
        """Move a run that waits for somebody outside; False where it does not, or no longer.

        An end closes it (a worker finishes what it began), QUEUED lets it be worked on.
        """
        now = self._now()
        return self._change(
            lambda session: run_table.settle(session, run_id, state, reason, result, now)
        )

    def listen(self) -> None:
        """Hear what other processes change, without working on anything."""
        with self._guard:
            if not self._listening:
                self._listening = True
                self._database.listen(self._wake)

    def execute_at(self, workspace: str, root: Path, kind: str = "serve") -> None:
        """Say that this process executes a workspace in a folder, before it works on its runs.

        ``kind`` says what started it. Raises E_CONFLICT where a live process executes the same id
        in another folder.
        """
        self.listen()
        self._worker.appear()
        claimant = Claimant(self.name, kind, self._now())
        claim_root(self._database, claimant, workspace, root)

    def executor(self, workspace: str) -> Executing | None:
        """Who executes the workspace's schedules, None where nobody does."""
        return leading(self._database, workspace)

    def work(self, work: Work, *, workspace: str | None = None) -> None:
        """Start to work on the runs of one workspace, or of every one that has no other work."""
        self.listen()
        self._worker.add(work, workspace)

    def rest(self, workspace: str | None = None) -> None:
        """Start no more runs of a workspace, and put back those that are under way."""
        self._worker.remove(workspace)

    def close(self) -> None:
        """Put back what is under way, after its agents have ended, and release everything."""
        self._worker.close()
        self._database.close()

    def _change(self, change: Callable[[Session], T]) -> T:
        with self._database.transaction() as session:
            result = change(session)
        self._wake()
        return result

    def _wake(self) -> None:
        self._worker.wake()
        self._changed()

    def _now(self) -> int:
        return milliseconds(self._clock.now())
