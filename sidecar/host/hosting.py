"""A sidecar without a terminal, from its first import to its end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
from pathlib import Path

from sidecar.channel.message import Json
from sidecar.channel.place import Place
from sidecar.channel.seat import Link, Unavailable, greeted
from sidecar.cli.workspace import open_workspace
from sidecar.host.server import Host
from sidecar.host.shared import Shared
from sidecar.workspace import logs

log = logging.getLogger(__name__)


def run(root: str, folder: str, lock: int, listener: socket.socket) -> int:
    """Serve until nobody is connected any more; returns the exit code."""
    context = open_workspace(Path(root))
    logs.start(context.workspace.state)
    return asyncio.run(_serve(Place(root, folder), Shared(context), lock, listener))


async def _serve(place: Place, shared: Shared, lock: int, listener: socket.socket) -> int:
    host = Host(place, shared, lock=lock, lasting=False)
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, host.stop, "stopped")
    why = await host.serve(listener)
    log.info("The sidecar ends: %s", why)
    return 0


def within(place: Place, hello: Json) -> Link:
    """Serve one channel from its own process, where no sidecar can be had."""
    context = open_workspace(Path(place.root))
    ours, theirs = socket.socketpair()
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="alone", daemon=True).start()
    making = asyncio.run_coroutine_threadsafe(_host(place, Shared(context)), loop)
    host = making.result()
    threading.Thread(target=host.meet, args=(ours, loop), name="greet", daemon=True).start()
    link = greeted(theirs, hello)
    if link is None:
        raise Unavailable("This process cannot serve the workspace either.")
    return link


async def _host(place: Place, shared: Shared) -> Host:
    return Host(place, shared, lock=-1, lasting=True)
