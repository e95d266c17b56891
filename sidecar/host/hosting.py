"""A sidecar on its socket: in its own process, beside ``sidecar serve``, or within a channel."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sidecar.channel import seat
from sidecar.channel.message import Json, Unavailable
from sidecar.channel.place import Place, place_of
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import RunState
from sidecar.host.server import Host
from sidecar.host.shared import Shared, seen_by_editors
from sidecar.host.workspace import open_workspace
from sidecar.services.context import Context
from sidecar.workspace import logs

log = logging.getLogger(__name__)

_ENDING_SECONDS = 10.0
_ASKING_SECONDS = 0.5


def run(place: Place, lock: int, door: seat.Door) -> int:
    """Serve until nobody is connected any more; returns the exit code."""
    context = seen_by_editors(open_workspace(Path(place.root)))
    logs.start(context.workspace.state)
    with _executed(context) as own:
        # Not asyncio.run: that waits for threads, and a tool that still runs cannot be stopped.
        loop = asyncio.new_event_loop()
        work = _serve(place, Shared(own), lock, door)
        why = loop.run_until_complete(work)
    log.info("The sidecar ends: %s", why)
    return 0


@contextmanager
def _executed(context: Context) -> Iterator[Context]:
    """Execute the schedules where the user wants it of every sidecar."""
    if context.settings.execute != "always":
        yield context
        return
    from sidecar.engine.executing import executed  # noqa: PLC0415 - it takes a second

    with executed(context, explicit=False) as own:
        yield own


async def _serve(place: Place, shared: Shared, lock: int, door: seat.Door) -> str:
    host = Host(place, shared, lock=lock, lasting=False, runs=runs_of(shared, "always"))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(host.stop, "stopped"))
    return await host.serve(door)


def runs_of(shared: Shared, *wanted: str) -> Callable[[], list[str]]:
    """What the sidecar executes at present, where the setting `execute` is one of those."""

    def running() -> list[str]:
        context = shared.context
        if context.queue is None or context.settings.execute not in wanted:
            return []
        from sidecar.services.run_requests import workspace_id  # noqa: PLC0415 - only with runs

        try:
            found = context.queue.runs(workspace=workspace_id(context), states={RunState.RUNNING})
        except SidecarError as error:
            # What is under way cannot be asked for, so nobody may take it for nothing.
            return [f"unknown: {error}"]
        return [f"{each.request.subject} ({each.request.run_id})" for each in found]

    return running


@contextmanager
def beside(context: Context, ended: Callable[[], None]) -> Iterator[None]:
    """Be the workspace's sidecar while the block runs; ``ended`` is called if it has to end.

    One that a channel has started gives way first. Raises E_BUSY where a person's runs already.
    """
    place = place_of(str(context.workspace.root))
    lock = _taken(place)
    door = seat.opened(place)
    loop = asyncio.new_event_loop()
    shared = Shared(context)
    runs = runs_of(shared, "serve", "always")
    made: list[Host] = []

    async def serve() -> None:
        made.append(Host(place, shared, lock=lock, lasting=True, runs=runs))
        began.set()
        await made[0].serve(door)

    def work() -> None:
        loop.run_until_complete(serve())
        loop.close()
        if not leaving.is_set():
            ended()

    began, leaving = threading.Event(), threading.Event()
    thread = threading.Thread(target=work, name="host", daemon=True)
    thread.start()
    began.wait()
    try:
        yield
    finally:
        leaving.set()
        with suppress(RuntimeError):  # it has ended already
            loop.call_soon_threadsafe(made[0].stop, "stopped")
        thread.join(_ENDING_SECONDS)
        os.close(lock)


def _taken(place: Place) -> int:
    """The lock of the workspace's only sidecar."""
    try:
        asked = -_ASKING_SECONDS
        while (lock := seat.take(place)) is None:
            # Again, for a channel may have started another one meanwhile.
            if time.monotonic() - asked >= _ASKING_SECONDS:
                seat.find(place, seat.greeting("takeover", place))
                asked = time.monotonic()
            time.sleep(0.02)
    except Unavailable as error:
        raise SidecarError(ErrorCode.BUSY, str(error)) from None
    return lock


def within(place: Place, hello: Json) -> seat.Link:
    """Serve one channel from its own process, where no sidecar can be had."""
    shared = Shared(open_workspace(Path(place.root)))
    ours, theirs = socket.socketpair()
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="alone", daemon=True).start()
    host = asyncio.run_coroutine_threadsafe(_host(place, shared), loop).result()
    threading.Thread(target=host.meet, args=(ours, loop), name="greet", daemon=True).start()
    link = seat.greeted(theirs, hello)
    if link is None:
        told = "This process cannot serve the workspace either."
        raise Unavailable(told)
    return link


async def _host(place: Place, shared: Shared) -> Host:
    return Host(place, shared, lock=-1, lasting=True)
