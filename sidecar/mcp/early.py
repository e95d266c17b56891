"""A stream's plain calls before the SDK is needed.

Most sessions shake hands, ask for the lists and call tools. All of that can be answered without the
SDK, whose import takes half of a session's memory and most of its start. The first message that
is anything else ends it: the SDK is given what it has to know of, then that message and the rest.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Protocol

import pydantic_core

from sidecar.mcp.direct import Direct, Id, Tools
from sidecar.mcp.reading import Line, Reader, StopReading, Work

Json = dict[str, Any]
# Cline sends SIGTERM 250 ms after it has closed our input.
GRACE_SECONDS = 0.15
_POLL_SECONDS = 0.002
# What begins with the SDK alone, however its first answer is given.
_LASTING = "subscriptions/listen"


class Incoming(Protocol):
    """The client's messages, chunk by chunk, and how it wants to read its own."""

    def messages(self) -> Iterator[list[Line]]:
        """The messages until the end of input; None stands for one over the limit."""

    def outgoing(self, message: bytes) -> bytes:
        """A message with what the client needs to find its end."""


def one_by_one(incoming: Incoming) -> Iterator[Line]:
    """The client's messages; nothing is read before the first is asked for."""
    yield from chain.from_iterable(incoming.messages())


class Answers(Protocol):
    """What is known without asking the server."""

    def to(self, message: Any) -> Json | None:
        """The answer to a message; None leaves it to the server."""


class Sink(Protocol):
    """What takes whole messages from any thread."""

    def write(self, data: bytes) -> None:
        """Write everything; raises OSError where nobody reads it."""


class Descriptor:
    """A client's end of a pipe as such a sink."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._writing = threading.Lock()

    def write(self, data: bytes) -> None:
        """Write everything; raises OSError where nobody reads it."""
        rest = memoryview(data)
        with self._writing:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


class Rest:
    """The messages from a certain one on, preceded by those that the SDK has to know of."""

    def __init__(self, first: list[Line], later: Iterator[Line], incoming: Incoming) -> None:
        self._first = first
        self._later = later
        self.outgoing = incoming.outgoing

    def messages(self) -> Iterator[list[Line]]:
        """Those, then the rest as it comes."""
        yield self._first
        for line in self._later:
            yield [line]


class Early:
    """One client until it needs the SDK, which then is to have the ``rest``.

    ``answered`` are the ids of the requests among the first messages that have their answers.
    """

    def __init__(
        self,
        tools: Tools,
        incoming: Incoming,
        sink: Sink,
        answers: Answers,
        answered: Iterable[Id] = (),
    ) -> None:
        self._incoming = incoming
        self._sink = sink
        self._answers = answers
        self._told = set(answered)
        self._handshake: set[Id] = set()
        self._known: list[Line] = []
        self._lines = one_by_one(incoming)
        self.rest: Rest | None = None
        self.direct = Direct(tools, lambda _, message: self._send(message))

    @property
    def answered(self) -> set[Id]:
        """The requests among the rest that the SDK must not answer again."""
        return self._handshake | self._told

    def serve(self) -> Rest | None:
        """Serve until the SDK is needed, which is to have the rest; None at the end of input."""
        ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.begin(lambda: ended.put(None))
        ended.get()  # signals interrupt it
        if self.rest is None:
            self.finish()
        return self.rest

    def begin(self, ended: Callable[[], None]) -> None:
        """Serve by a thread; it calls ``ended`` when the SDK is needed, and at the end of input."""
        reader = Reader(self._lines, self._take, ended)
        threading.Thread(target=reader.read, name="mcp-in", daemon=True).start()

    def finish(self) -> None:
        """Give what is nearly done a moment to be answered."""
        until = time.monotonic() + GRACE_SECONDS
        while not self.direct.is_idle and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)

    def _take(self, line: Line) -> Work | None:
        call = self.direct.call(line) if line is not None else None
        if call is not None and not self.direct.runs(call.number):
            return self.direct.start(call)
        if not self._answered_here(line):
            self.rest = Rest([*self._known, line], self._lines, self._incoming)
            raise StopReading
        return None

    def _answered_here(self, line: Line) -> bool:
        """Deal with a message; false where that is the SDK's."""
        if line is None:
            return False
        try:
            # As the SDK's messages are read: what it would refuse is left to it.
            message = pydantic_core.from_json(line, allow_inf_nan=False)
        except ValueError:
            return False
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return False
        return self._knew(message, line)

    def _knew(self, message: Json, line: bytes) -> bool:
        method, number = message.get("method"), message.get("id")
        if method == _LASTING:
            return False
        answer = self._answers.to(message)
        if number is None:
            return self._heard(message, line)
        if answer is None or self.direct.runs(answer["id"]):
            return False
        if method == "initialize":
            self._known.append(line)
            self._handshake.add(answer["id"])
            self.direct.requested(method, answer["id"], message["params"])
            self.direct.agreed(answer["id"])
        if answer["id"] in self._told:
            self._told.discard(answer["id"])
        else:
            told = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
            self._send(told.encode())
        return True

    def _heard(self, notification: Json, line: bytes) -> bool:
        method, params = notification.get("method"), notification.get("params")
        if method == "notifications/initialized":
            self._known.append(line)
            self.direct.told(method)
            return True
        named = params.get("requestId") if isinstance(params, dict) else None
        if method == "notifications/cancelled" and isinstance(named, str | int):
            self.direct.cancel(named)
            return True
        return False

    def _send(self, message: bytes) -> None:
        try:
            self._sink.write(self._incoming.outgoing(message))
        except OSError:
            return  # the client no longer reads its answers; its end of input comes next
