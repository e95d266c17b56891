"""The queue of runs for a process that may never need it: opened by the first question."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import replace

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import Executing, RunRecord, RunRequest, RunState
from sidecar.engine.database import Database
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.sqlite_database import SqliteDatabase
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.user_dirs import UserDirs, private

_SCHEMES = ("postgresql://", "postgresql+psycopg://", "postgres://")


def database(settings: Settings, user: UserDirs) -> Database:
    """The engine's database that the settings name; raises E_INVALID, E_UNAVAILABLE."""
    url = settings.engine_url
    if not url:
        return SqliteDatabase(private(private(user.state) / "engine") / "engine.sqlite")
    if not url.startswith(_SCHEMES):
        message = "The setting `engine_url` is no address of a PostgreSQL database."
        hint = "For example postgresql://user@host:5432/sidecar; empty means SQLite."
        raise SidecarError(ErrorCode.INVALID, message, hint=hint)
    try:
        # psycopg takes half a second, and only a fleet has it.
        from sidecar.engine.postgres_database import PostgresDatabase  # noqa: PLC0415
    except ImportError:
        message = "PostgreSQL cannot be reached, because psycopg is not installed."
        hint = "Install the extra `engine`: pip install 'loop-orchestrator[engine]'."
        raise SidecarError(ErrorCode.UNAVAILABLE, message, hint=hint) from None
    return PostgresDatabase(url)


def opened(context: Context, changed: Callable[[], None] = lambda: None) -> DurableQueue:
    """The queue of the context's settings; ``changed`` is called when a run may have moved on."""
    settings = context.settings
    store = database(settings, context.workspace.user)
    return DurableQueue(store, concurrent_runs=settings.concurrent_runs, changed=changed)


def queueing(context: Context) -> Context:
    """The same view with the queue of runs, which is opened when it is first asked."""
    if context.queue is not None:
        return context
    return replace(context, queue=LateQueue(lambda: opened(context)))


class LateQueue:
    """``services.ports.RunQueue`` that opens its database when it is first asked."""

    def __init__(self, make: Callable[[], DurableQueue]) -> None:
        self._make = make
        self._guard = threading.Lock()
        self._made: DurableQueue | None = None

    @property
    def _queue(self) -> DurableQueue:
        with self._guard:
            if self._made is None:
                self._made = self._make()
            return self._made

    def enqueue(
        self, request: RunRequest, *, state: RunState = RunState.QUEUED, reason: str = ""
    ) -> RunRecord:
        """Put a run into the queue; the same ``run_id`` gives the run that is there already."""
        return self._queue.enqueue(request, state=state, reason=reason)

    def get(self, run_id: str) -> RunRecord | None:
        """One run as it stands, None for an unknown id."""
        return self._queue.get(run_id)

    def runs(
        self,
        *,
        workspace: str,
        subject: str | None = None,
        states: Collection[RunState] = (),
        limit: int = 100,
    ) -> list[RunRecord]:
        """The runs of a workspace, the newest first; no ``states`` means all."""
        return self._queue.runs(workspace=workspace, subject=subject, states=states, limit=limit)

    def cancel(self, run_id: str, reason: str) -> bool:
        """Ask a run to end; False where it has ended already or is unknown."""
        return self._queue.cancel(run_id, reason)

    def settle(self, run_id: str, state: RunState, *, reason: str = "", result: str = "") -> bool:
        """Move a run that waits for somebody outside; False where it does not, or no longer."""
        return self._queue.settle(run_id, state, reason=reason, result=result)

    def executor(self, workspace: str) -> Executing | None:
        """Who executes the workspace's schedules, None where nobody does."""
        return self._queue.executor(workspace)

    def close(self) -> None:
        """Release the database, if it was opened."""
        with self._guard:
            if self._made is not None:
                self._made.close()
                self._made = None
