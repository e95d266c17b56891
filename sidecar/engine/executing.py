"""The engine put together: what executes a workspace's schedules, started and stopped in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial

from sidecar.domain.kind import Kind
from sidecar.engine.consented import Consented
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.execution import Execution
from sidecar.engine.late_queue import opened
from sidecar.engine.runner import Work
from sidecar.engine.runners.catalog import runner_named
from sidecar.engine.schedule_source import WorkspaceSource, nobody
from sidecar.engine.scheduler import Scheduler
from sidecar.services.context import Context
from sidecar.services.run_requests import queue_of, workspace_id
from sidecar.workspace.watcher import Watcher


@contextmanager
def executing(
    context: Context,
    *,
    scheduling: bool = True,
    seen_agent: Callable[[], datetime | None] = nobody,
) -> Iterator[Context]:
    """Work on the workspace's runs; with ``scheduling`` put the slots that come due into the queue.

    Gives the context with the open queue. Raises E_UNAVAILABLE where its database is out of reach.
    """
    schedulers: list[Scheduler] = []

    def wake() -> None:
        for scheduler in schedulers:
            scheduler.wake()

    with ExitStack() as stack:
        queue = opened(context, wake)
        stack.callback(queue.close)
        own = _working(queue, context)
        if scheduling:
            schedulers.append(Scheduler(WorkspaceSource(own, seen_agent), queue))
            watcher = _watcher(own, wake)
            watcher.start()
            stack.callback(watcher.stop)
            schedulers[0].start()
            stack.callback(schedulers[0].stop)
        yield own


@contextmanager
def working(contexts: Sequence[Context]) -> Iterator[None]:
    """Work on the runs of several workspaces by one queue, scheduling none of them."""
    queue = opened(contexts[0])
    try:
        for each in contexts:
            _working(queue, each)
        yield
    finally:
        queue.close()


def look(context: Context) -> None:
    """Put what is due now into the queue, once."""
    Scheduler(WorkspaceSource(context), queue_of(context)).look(context.clock())


def _working(queue: DurableQueue, context: Context) -> Context:
    own = replace(context, queue=queue)
    queue.work(_work(own), workspace=workspace_id(own))
    return own


def _work(context: Context) -> Work:
    """What is done with a run of this workspace, as far as a person agreed to it."""
    runner = partial(runner_named, context.settings, context=context)
    return Consented(context, Execution(context, runner))


def _watcher(context: Context, wake: Callable[[], None]) -> Watcher:
    """Wakes when the schedules' file changes."""
    path = context.workspace.path(Kind.SCHEDULES, context.settings.product)
    return Watcher(context.workspace.root, [path], lambda _: wake())
