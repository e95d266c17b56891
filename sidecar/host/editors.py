"""Editors' sessions; importing this imports the LSP libraries."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from sidecar.host.link import ChannelLink
from sidecar.host.shared import Shared
from sidecar.lsp.applying import ConnectedEditor
from sidecar.lsp.server import create
from sidecar.lsp.session import Opening
from sidecar.services.context import Context


class Editors:
    """Every editor that is connected to this process."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def serve(self, link: ChannelLink) -> None:
        """Serve one until it leaves."""

        def open_context(root: Path, opening: Opening) -> Context:
            link.client = opening.client
            return self._shared.folder(root, opening.client, opening.options)

        server = create(open_context)
        protocol = server.protocol
        bodies = _Bodies(link)
        protocol.set_writer(bodies)
        reader = partial(_read, protocol.receive, protocol.ended.set, link)
        loop = asyncio.get_running_loop()
        editor = ConnectedEditor(server, loop)
        self._shared.editors.join(editor)
        threading.Thread(target=reader, args=(loop,), name="lsp-in", daemon=True).start()
        await protocol.ended.wait()
        link.control({"exit": protocol.exit_code})
        server.close()
        # Whoever waits for it hears of it when its texts count no more.
        self._shared.editors.leave(editor)
        editor.close()
        bodies.finish()


def _read(
    receive: Callable[[bytes], None],
    ended: Callable[[], None],
    link: ChannelLink,
    loop: asyncio.AbstractEventLoop,
) -> None:
    with suppress(RuntimeError):  # the loop is closed: the sidecar has ended
        for bodies in link.messages():
            for body in bodies:
                if body is not None:
                    loop.call_soon_threadsafe(receive, body)
        loop.call_soon_threadsafe(ended)


class _Bodies:
    """Sends the library's messages, which have headers already, without making it wait."""

    def __init__(self, link: ChannelLink) -> None:
        self._link = link
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._send_all, name="lsp-out", daemon=True).start()

    def write(self, data: bytes) -> None:
        """Send one message."""
        self._waiting.put(self._link.outgoing(data.partition(b"\r\n\r\n")[2]))

    def close(self) -> None:
        """Nothing: the link is closed by whoever serves it."""

    def finish(self) -> None:
        """Nothing more will come."""
        self._waiting.put(None)

    def _send_all(self) -> None:
        with suppress(OSError):
            while (data := self._waiting.get()) is not None:
                self._link.write(data)
