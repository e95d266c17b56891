"""Plain tool calls on a stream, answered without the SDK's way round.

The SDK takes 0.75 ms of processor time to bring a call to its handler and the answer back, eight
times what a small tool itself needs. So a call that asks for nothing but a tool's answer, on a
connection that has shaken hands, is read here, run by a thread and written by that thread: whoever
has read it, if it is quick, else another one. All else goes to the SDK: the era without a
handshake, progress, whatever has an unusual shape.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import pydantic_core

from sidecar.mcp.calls import Answer
from sidecar.mcp.reading import Work
from sidecar.mcp.vigil import Vigil

Id = str | int

# As many as can wait for one file together; more threads would only wait for the same locks.
THREADS = 16
# How often calls are looked through for those that have taken too long.
LOOK_SECONDS = 1.0
# So many calls may be under way before reading waits for them.
MOST_UNDER_WAY = 64
_CALL = b'"tools/call"'
_KEYS = frozenset({"jsonrpc", "id", "method", "params"})
_PARAMS = frozenset({"name", "arguments", "_meta"})
_PROTOCOLS_OWN = "io.modelcontextprotocol/"
_LARGEST_ID = 2**53


class Tools(Protocol):
    """What can be called."""

    def answer(self, name: str, arguments: dict[str, Any], client: str) -> Answer:
        """What a tool says to these arguments; never raises."""

    def is_quick(self, name: str) -> bool:
        """Whether a call is seldom worth another thread."""

    def patience(self, arguments: dict[str, Any]) -> float:
        """Seconds until a call with these arguments has taken too long."""

    def too_late(self, name: str, arguments: dict[str, Any]) -> Answer:
        """What to say then."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One request for a tool's answer."""

    number: Id
    name: str
    arguments: dict[str, Any]
    ends: float


@dataclass
class Threads:
    """Threads that run calls, started as they are needed."""

    most: int = THREADS
    _calls: queue.SimpleQueue[Work | None] = field(default_factory=queue.SimpleQueue)
    _idle: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _started: int = 0

    def run(self, work: Work) -> None:
        """Run work as soon as a thread is free; only one thread may ask."""
        self._calls.put(work)
        if not self._idle.acquire(blocking=False) and self._started < self.most:
            self._started += 1
            name = f"call-{self._started}"
            try:
                threading.Thread(target=self._serve, name=name, daemon=True).start()
            except RuntimeError:  # no more threads: one that is there takes it, else who asks
                self._started -= 1
                if not self._started and (left := self._calls.get()) is not None:
                    left()

    def end(self) -> None:
        """Let every thread end once it has nothing to do."""
        for _ in range(self._started):
            self._calls.put(None)

    def _serve(self) -> None:
        while (work := self._calls.get()) is not None:
            work()
            self._idle.release()


class Direct:
    """The calls of one connection that need nothing of the SDK."""

    def __init__(self, tools: Tools, send: Callable[[Id, bytes], None]) -> None:
        self._tools = tools
        self._send = send
        self._threads = Threads()
        self._room = threading.Semaphore(MOST_UNDER_WAY)
        self._guard = threading.Lock()
        self._under_way: dict[Id, Call] = {}
        self._sending = 0
        self._inline = 0
        self._late = Vigil(LOOK_SECONDS, self._expire, "mcp-expiry")
        self._client: str | None = None
        self._opening: Id | None = None
        self._shaken = self._confirmed = False

    @property
    def client(self) -> str:
        """How the client has introduced itself."""
        return self._client or ""

    def requested(self, method: str, number: Id, params: Any) -> None:
        """Take note of a request that the SDK is given: the handshake, or a second one."""
        if method != "initialize":
            return
        if self._opening is not None:
            self._client = None
            return
        info = params.get("clientInfo") if isinstance(params, dict) else None
        name = info.get("name") if isinstance(info, dict) else None
        self._opening, self._client = number, name if isinstance(name, str) else None

    def told(self, method: str) -> None:
        """Take note of a notification of the client."""
        self._confirmed = self._confirmed or method == "notifications/initialized"

    def agreed(self, number: Id) -> None:
        """Take note that the SDK has answered a request without an error."""
        self._shaken = self._shaken or number == self._opening

    def call(self, line: bytes) -> Call | None:
        """The plain call in a line; None leaves the line to the SDK."""
        if self._client is None or not (self._shaken and self._confirmed) or _CALL not in line:
            return None
        try:
            value = pydantic_core.from_json(line, allow_inf_nan=False)
        except ValueError:
            return None
        if not isinstance(value, dict) or not _KEYS.issuperset(value) or not _is_plain(value):
            return None
        params = value["params"]
        arguments = params.get("arguments") or {}
        ends = time.monotonic() + self._tools.patience(arguments)
        return Call(value["id"], params["name"], arguments, ends)

    def start(self, call: Call) -> Work | None:
        """Begin a call; one that is quick is left to the caller, who is to do what is returned.

        Any other is run beside, and the caller waits only while too many are under way.
        """
        client = self._client or ""
        # Where so many take long already, one more is not expected to be quick; one that was
        # cancelled, or whose answer nobody reads, has its thread as well.
        quick = self._inline < THREADS and self._tools.is_quick(call.name)
        if not quick:
            self._room.acquire()
        with self._guard:
            self._under_way[call.number] = call
            self._inline += quick
        self._late.wake()
        if quick:
            return partial(self._run_inline, call, client)
        self._threads.run(partial(self._run_beside, call, client))
        return None

    def _run_inline(self, call: Call, client: str) -> None:
        try:
            self._run(call, client)
        finally:
            with self._guard:
                self._inline -= 1

    def _run_beside(self, call: Call, client: str) -> None:
        try:
            self._run(call, client)
        finally:
            self._room.release()

    def _run(self, call: Call, client: str) -> None:
        self._tell(call, self._tools.answer(call.name, call.arguments, client))

    def _tell(self, call: Call, answer: Answer) -> None:
        """Send an answer, unless the call was answered or cancelled meanwhile."""
        message = answer.message(call.number)
        with self._guard:
            if self._under_way.get(call.number) is not call:
                return
            del self._under_way[call.number]
            self._sending += 1
        try:
            self._send(call.number, message)
        finally:
            with self._guard:
                self._sending -= 1

    def runs(self, number: Id) -> bool:
        """Whether the call of this id was not answered yet."""
        return number in self._under_way

    @property
    def under_way(self) -> int:
        """How many calls were not answered yet."""
        return len(self._under_way)

    @property
    def is_idle(self) -> bool:
        """Whether every call was answered."""
        return not self._under_way and not self._sending

    def cancel(self, number: Id) -> None:
        """Forget a call: its answer is not sent. What it changes, it changes."""
        with self._guard:
            self._under_way.pop(number, None)

    def expire(self) -> None:
        """Refuse what has taken too long; the thread goes on, and nobody hears of it."""
        now = time.monotonic()
        with self._guard:
            late = [call for call in self._under_way.values() if call.ends < now]
        for call in late:
            self._tell(call, self._tools.too_late(call.name, call.arguments))

    def _expire(self) -> bool:
        self.expire()
        return bool(self._under_way)

    def close(self) -> None:
        """Let the threads end; nothing may be started any more."""
        self._late.end()
        self._threads.end()


def _is_plain(message: dict[str, Any]) -> bool:
    number, params = message.get("id"), message.get("params")
    return (
        message.get("jsonrpc") == "2.0"
        and message.get("method") == "tools/call"
        and (isinstance(number, str) or (type(number) is int and abs(number) <= _LARGEST_ID))
        and isinstance(params, dict)
        and _PARAMS.issuperset(params)
        and isinstance(params.get("name"), str)
        and isinstance(params.get("arguments"), dict | None)
        and _asks_nothing(params.get("_meta", {}))
    )


def _asks_nothing(meta: Any) -> bool:
    """Whether what a client says about its call is for others than this server."""
    return isinstance(meta, dict) and not any(
        key == "progressToken" or key.startswith(_PROTOCOLS_OWN) for key in meta
    )
