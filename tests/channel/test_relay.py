"""What a client is told when a sidecar dies at a moment that is hard to hit."""

from __future__ import annotations

import json
import queue
import socket
import threading
from typing import Any

from sidecar.channel.frames import MESSAGE, frame, frames
from sidecar.channel.mcp import Agent
from sidecar.channel.opening import manifest
from sidecar.channel.relay import Relay
from sidecar.channel.seat import Link

PATIENCE = 30.0


class Sidecars:
    """One end of each connection that a relay makes."""

    def __init__(self) -> None:
        self._made: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()

    def connect(self, _began: bool, _last: str) -> Link:
        ours, theirs = socket.socketpair()
        self._made.put(ours)
        return Link(theirs, {"accepted": True})

    def next(self) -> socket.socket:
        """The sidecar that the relay has connected to next."""
        return self._made.get(timeout=PATIENCE)


def call(number: int) -> bytes:
    """A plain call."""
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "t"}}
    return json.dumps(message).encode()


def answer(number: int) -> bytes:
    """Its answer."""
    return b'{"jsonrpc":"2.0","id":%d,"result":{}}' % number


def test_an_answer_that_was_not_read_yet_is_told_and_not_refused_when_a_later_call_cannot_be_sent():
    sidecars = Sidecars()
    told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    telling, go_on = threading.Event(), threading.Event()

    def tell(body: bytes) -> None:
        message = json.loads(body)
        if message["id"] == 0:
            telling.set()
            assert go_on.wait(PATIENCE)
        told.put(message)

    relay = Relay(Agent(manifest()), sidecars.connect, tell, "test")
    relay.take([call(0), call(1), call(2)])
    relay.begin()
    first = sidecars.next()
    asked = frames(first)
    assert [next(asked)[1] for _ in range(3)] == [call(0), call(1), call(2)]
    first.sendall(frame(MESSAGE, answer(0)))
    assert telling.wait(PATIENCE)
    first.sendall(frame(MESSAGE, answer(1)))
    first.close()
    relay.take([call(3)])
    go_on.set()

    assert [told.get(timeout=PATIENCE).get("id") for _ in range(2)] == [0, 1]
    refused = told.get(timeout=PATIENCE)
    assert (refused["id"], "another one takes its place" in refused["error"]["message"]) == (
        2,
        True,
    )
    second = sidecars.next()
    assert next(frames(second)) == (MESSAGE, call(3))
    second.sendall(frame(MESSAGE, answer(3)))
    assert told.get(timeout=PATIENCE)["id"] == 3
    assert told.empty()
