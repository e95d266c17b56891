"""The engine put together: what executes a workspace's schedules, started and stopped in order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.engine.consented import Consented
from sidecar.engine.current import Current
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.execution import Execution
from sidecar.engine.late_queue import opened
from sidecar.engine.leader import AGAIN_SECONDS, FIRST_AGAIN_SECONDS, Leader
from sidecar.engine.runners.catalog import runner_named
from sidecar.engine.schedule_source import WorkspaceSource
from sidecar.engine.scheduler import Scheduler
from sidecar.services.context import Context
from sidecar.services.run_requests import queue_of, workspace_id
from sidecar.settings import executes
from sidecar.workspace.changes import Subscription
from sidecar.workspace.layout import candidates

_LOG = logging.getLogger(__name__)


class Executor:
    """Executes one workspace for as long as this process is the one that does; ``start`` to wait.

    ``kind`` says what started it. ``tell`` is told in a sentence, once, why this process cannot
    though it is its turn, and when it can after all.
    """

    def __init__(
        self,
        context: Context,
        *,
        kind: str = "serve",
        tell: Callable[[str], None] = _LOG.warning,
    ) -> None:
        self._scheduler: Scheduler | None = None
        self._queue = opened(context, self.wake)
        self.context = replace(context, queue=self._queue)
        self._kind = kind
        self._tell = tell
        self._hindrance = ""
        root, user = context.workspace.root, context.workspace.user
        self._leader = Leader(user, root, self._lead, failed=self._cannot)
        self._guard = threading.Lock()
        self._ended = False
        self._started = ExitStack()

    @property
    def leads(self) -> bool:
        """Whether this process executes the workspace now."""
        return self._leader.leads

    def start(self) -> None:
        """Wait for the turn; the queue can be used at once."""
        self._leader.start()

    def wake(self) -> None:
        """Look at once for what is due; before the turn has come it does nothing."""
        if self._scheduler is not None:
            self._scheduler.wake()

    def stop(self) -> None:
        """Put back what is under way, end everything, and let another process have the turn."""
        with self._guard:
            self._ended = True
            self._started.close()
            self._queue.close()
        self._leader.stop()

    def _lead(self) -> None:
        with self._guard:
            if self._ended:
                return
            root = self.context.workspace.root
            self._queue.execute_at(workspace_id(self.context), root, self._kind)
            current = _working(self._queue, self.context)
            source = _Source(self.context, self._seen_agent, current=current)
            self._scheduler = Scheduler(source, self._queue)
            self._started.callback(self._woken_by_file().close)
            self._scheduler.start()
            self._started.callback(self._scheduler.stop)
        if self._hindrance:
            self._hindrance = ""
            self._tell("The schedules are executed here now.")

    def _woken_by_file(self) -> Subscription:
        """Look anew when the schedules change on the disk; what is only typed runs nothing."""
        paths = candidates(Kind.SCHEDULES, self.context.settings.product)
        return self.context.workspace.changes.subscribe(paths, lambda _: self.wake())

    def _seen_agent(self) -> datetime | None:
        """When an agent that is connected to this process last called a tool."""
        last = self.context.meter.last_call
        return None if last is None else datetime.fromtimestamp(last, UTC)

    def _cannot(self, error: Exception) -> None:
        why = str(error) if isinstance(error, SidecarError) else type(error).__name__
        if why != self._hindrance:
            self._hindrance = why
            self._tell(f"The schedules are not executed here, which is tried again: {why}")


@contextmanager
def executed(
    context: Context, *, explicit: bool, tell: Callable[[str], None] = _LOG.warning
) -> Iterator[Context]:
    """Execute the schedules where the setting `execute` wants it, else do nothing.

    Gives the context, with the open queue of runs where they are executed.
    """
    if not executes(context.settings, explicit=explicit):
        yield context
        return
    executor = Executor(context, kind="serve" if explicit else "channel", tell=tell)
    executor.start()
    try:
        yield executor.context
    finally:
        executor.stop()


@contextmanager
def executing(context: Context) -> Iterator[Context]:
    """Work on the workspace's runs, beside whoever executes it, without scheduling any.

    Gives the context with the open queue. Raises E_UNAVAILABLE where its database is out of reach.
    """
    queue = opened(context)
    try:
        yield _working(queue, context).get()[0]
    finally:
        queue.close()


@contextmanager
def working(
    contexts: Sequence[Context], ended: threading.Event, tell: Callable[[str], None]
) -> Iterator[None]:
    """Work on the runs of several workspaces by one queue, scheduling none of them.

    Where the database is out of reach that is told once, and it is tried until ``ended`` is set.
    """
    queue = opened(contexts[0])
    try:
        pause, hindrance = FIRST_AGAIN_SECONDS, ""
        while not ended.is_set() and (why := _unreached(queue, contexts)):
            if why != hindrance:
                hindrance = why
                tell(f"No runs are worked on yet, which is tried again: {why}")
            ended.wait(pause)
            pause = min(2 * pause, AGAIN_SECONDS)
        yield
    finally:
        queue.close()


def _unreached(queue: DurableQueue, contexts: Sequence[Context]) -> str:
    """Start to work on the runs of these; why the database is out of reach, nothing where not."""
    try:
        for each in contexts:
            _working(queue, each)
    except SidecarError as error:
        if error.code is not ErrorCode.UNAVAILABLE:
            raise
        return str(error)
    return ""


def look(context: Context) -> None:
    """Put what is due now into the queue, once."""
    Scheduler(WorkspaceSource(context), queue_of(context)).look(context.clock())


@dataclass
class _Source(WorkspaceSource):
    """The workspace by the settings of each moment."""

    current: Current | None = None

    def version(self) -> object:
        """Differs also when the settings changed."""
        if self.current is not None:
            self.context = self.current.get()[0]
        return super().version(), self.context.settings


def _working(queue: DurableQueue, context: Context) -> Current:
    own = replace(context, queue=queue)
    try:
        _work(own).reconcile()
    except SidecarError as error:
        # Tried again before each run: it must not keep those that are due from running.
        _LOG.warning("What an earlier process left undone waits: %s", error)
    current = Current(own, _work)
    queue.work(Consented(current), workspace=workspace_id(context))
    return current


def _work(context: Context) -> Execution:
    """What is done with a run of this workspace by these settings."""
    return Execution(context, partial(runner_named, context.settings, context=context))
