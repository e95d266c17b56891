"""The local socket: who may talk to the sidecar, who is connected, and when it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import mmap
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from sidecar import __version__
from sidecar.channel.frames import PROTOCOL, first_line
from sidecar.channel.lock import is_current
from sidecar.channel.place import Place
from sidecar.channel.seat import Door, interpreter
from sidecar.host.callers import Callers
from sidecar.host.importing import imported
from sidecar.host.link import ChannelLink
from sidecar.host.package import Package
from sidecar.host.shared import Shared

log = logging.getLogger(__name__)

# Long enough for a client that starts its server anew.
LINGER_SECONDS = 2.0
HOUSEKEEPING_SECONDS = 0.5
GREETING_SECONDS = 10.0
_STOPPING_SECONDS = 5.0
_LOG_BYTES = 1024 * 1024
_FACES = {"mcp": ("agents", "Agents"), "lsp": ("editors", "Editors")}

Json = dict[str, Any]


class Face(Protocol):
    """The sessions of one protocol."""

    async def serve(self, link: ChannelLink) -> None:
        """Serve one client until it leaves."""


class Host:
    """One workspace's sidecar on its socket.

    A ``lasting`` one was started by a person and stays until it is stopped; any other ends when
    nobody is connected and ``runs`` names nothing.
    """

    def __init__(
        self,
        place: Place,
        shared: Shared,
        *,
        lock: int,
        lasting: bool,
        runs: Callable[[], list[str]] = list,
    ) -> None:
        self._place = place
        self._shared = shared
        self._lock = lock
        self._lasting = lasting
        self._runs = runs
        self._links: list[ChannelLink] = []
        self._faces: dict[str, Face] = {}
        self._loading = asyncio.Lock()
        self._began = time.time()
        self._callers = Callers(round(GREETING_SECONDS / HOUSEKEEPING_SECONDS))
        self._idle_rounds = 0
        self._transport = ""
        self._leaving: asyncio.Task[None] | None = None
        self._why = ""
        self._over = asyncio.Event()
        self._root = _identity(place.root)
        self._package = Package()

    async def serve(self, door: Door) -> str:
        """Serve until it is time to end; returns why."""
        loop = asyncio.get_running_loop()
        self._transport = door.transport
        arguments = (door, loop)
        threading.Thread(target=self._accept, args=arguments, name="accept", daemon=True).start()
        keeping = asyncio.create_task(self._keep_house())
        await self._over.wait()
        keeping.cancel()
        door.listener.close()
        if self._is_ours():
            with suppress(OSError):  # what is left behind misleads nobody
                os.unlink(self._path_of(door))  # noqa: PTH108
        return self._why

    def _path_of(self, door: Door) -> str:
        return self._place.address if door.token else self._place.socket

    def stop(self, why: str) -> None:
        """End for this reason once everything that is under way was answered."""
        if self._leaving is not None:
            if (self._why, why) != ("moved", "stopped"):
                return
            self._leaving.cancel()  # a person does not wait as long as a newcomer does
        self._why = why
        self._leaving = asyncio.create_task(self._leave(why))

    async def _leave(self, why: str) -> None:
        patience = None if why == "moved" else _STOPPING_SECONDS
        drained = [asyncio.create_task(each.drain()) for each in self._links if each.accepted]
        if drained:
            await asyncio.wait(drained, timeout=patience)
        while why == "moved" and self._runs():  # noqa: ASYNC110 - the engine has no event for it
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
        accepted = [each for each in self._links if each.accepted]
        await asyncio.gather(*(each.dismiss(why) for each in accepted))
        for link in list(self._links):
            link.close()
        await asyncio.sleep(0)
        self._over.set()

    def _accept(self, door: Door, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                connection, _ = door.listener.accept()
            except OSError:
                if self._over.is_set():
                    return
                time.sleep(HOUSEKEEPING_SECONDS)  # out of descriptors, say: others may leave
                continue
            self._callers.come(connection)
            arguments = (door, connection, loop)
            greeting = threading.Thread(
                target=self._hear, args=arguments, name="greet", daemon=True
            )
            try:
                greeting.start()
            except RuntimeError:  # no more threads: this one comes again, and others may leave
                connection.close()
                self._callers.heard(connection)

    def _hear(self, door: Door, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Let in who belongs to the user; anybody else gets no answer."""
        try:
            if door.admits(connection):
                self.meet(connection, loop)
            else:
                connection.close()
        except OSError as error:
            log.info("Somebody has called who is not known: %s", error)
            connection.close()
        finally:
            self._callers.heard(connection)

    def meet(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Read a greeting and let the loop admit who has sent it."""
        try:
            told, rest = first_line(connection)
            hello = json.loads(told)
            link = ChannelLink(dict(hello), connection, rest)
            asyncio.run_coroutine_threadsafe(self._admitted(link), loop)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            log.info("A greeting was not understood: %s", error)
            connection.close()

    async def _admitted(self, link: ChannelLink) -> None:
        try:
            await self._admit(link)
        except OSError as error:
            log.info("A channel has gone: %s", error)
        except Exception:
            log.exception("A session has failed")
        finally:
            link.close()

    async def _admit(self, link: ChannelLink) -> None:
        face = link.hello.get("face")
        if face == "status":
            link.answer(self.status())
        elif face in {"stop", "takeover"}:
            self._asked_to_end(link, "stopped" if face == "stop" else "moved")
        elif self._leaving is not None:
            link.answer({"wait": True})
        elif link.hello.get("sidecar") != PROTOCOL and self._lasting:
            told = f"The sidecar of this workspace has version {__version__}; start it anew."
            link.answer({"refused": told})
        elif self._is_outdated(link.hello):
            link.answer({"wait": True})
            self.stop("moved")
        elif face in _FACES:
            await self._serve(link)
        else:
            link.answer({"refused": "This face is not known."})

    def _asked_to_end(self, link: ChannelLink, why: str) -> None:
        if why == "moved" and self._lasting:
            told = f"A sidecar of this workspace runs already, process {os.getpid()}."
            link.answer({"refused": f"{told} `sidecar stop` ends it."})
            return
        link.answer({"accepted": True, "pid": os.getpid()})
        self.stop(why)

    def _is_outdated(self, hello: Json) -> bool:
        """Whether a newcomer brings another version or Python, so that this one gives way.

        A session that has begun already goes on with what is there: two versions in use side by
        side would otherwise drive each other out for ever.
        """
        same = (hello.get("version"), hello.get("interpreter")) == (__version__, interpreter())
        other = hello.get("sidecar") != PROTOCOL
        return not self._lasting and (other or not (same or hello.get("began")))

    async def _serve(self, link: ChannelLink) -> None:
        self._links.append(link)
        try:
            face = await self._face(link.face)
            if self._leaving is not None:
                link.answer({"wait": True})
                return
            link.answer({"accepted": True, "pid": os.getpid(), "version": __version__})
            await face.serve(link)
        finally:
            self._links.remove(link)
            self._idle_rounds = 0

    async def _face(self, name: str) -> Face:
        """The sessions of a protocol, whose libraries are imported when the first client comes."""
        async with self._loading:
            if name not in self._faces:
                module, kind = _FACES[name]
                found = await asyncio.to_thread(imported, f"sidecar.host.{module}")
                self._faces[name] = getattr(found, kind)(self._shared)
        return self._faces[name]

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            self._callers.wait()
            self._idle_rounds += 1
            if not self._is_ours():
                self.stop("moved")
            elif _identity(self._place.root) != self._root:
                self.stop("gone")
            elif self._is_idle():
                self.stop("idle")
            elif not self._lasting and self._package.is_renewed():
                self.stop("moved")
            _shorten(2)

    def _is_idle(self) -> bool:
        # Rounds instead of seconds: a client that the machine's sleep has cut off comes back.
        lingered = self._idle_rounds * HOUSEKEEPING_SECONDS > LINGER_SECONDS
        return lingered and not (self._lasting or self._links or self._runs())

    def _is_ours(self) -> bool:
        return is_current(self._lock, self._place.lock)

    def status(self) -> Json:
        """Who is connected, what runs, and what it costs."""
        return {
            "running": True,
            "workspace": self._place.root,
            "pid": os.getpid(),
            "version": __version__,
            "interpreter": interpreter(),
            "transport": self._transport,
            "started_by": "serve" if self._lasting else "channel",
            "since": _instant(self._began),
            "memory_bytes": _memory(),
            "read_only": not os.access(self._place.root, os.W_OK),
            "log": self._place.log,
            "leaving": self._why or None,
            "runs": self._runs(),
            "clients": [
                {
                    "face": link.face,
                    "client": link.client or link.introduction(),
                    "run": link.hello.get("run"),
                    "pid": link.hello.get("pid"),
                    "version": link.hello.get("version"),
                    "since": _instant(link.since),
                    "under_way": link.under_way(),
                }
                for link in self._links
            ],
        }


def _identity(path: str) -> tuple[int, int] | None:
    try:
        return _pair(os.stat(path))  # noqa: PTH116
    except OSError:
        return None


def _pair(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _instant(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _memory() -> int | None:
    """Bytes of memory in use, None where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except OSError:
        return None


def _shorten(descriptor: int) -> None:
    """Keep what is written without a terminal small; it is appended to, so nothing tears."""
    with suppress(OSError):
        if os.fstat(descriptor).st_size > _LOG_BYTES:
            os.ftruncate(descriptor, 0)
