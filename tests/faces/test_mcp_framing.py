"""Messages on stdin: a line each, or with the headers that some clients try second."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.channel.framing import Incoming
from sidecar.mcp import wire
from tests.faces.wire import INITIALIZE, PATIENCE, Wire

SERVED = Path(__file__).with_name("served.py")


def received(chunks: list[bytes]) -> tuple[bool, list[bytes | None]]:
    """What arrives when these chunks are written one after another."""
    source, sink = os.pipe()

    def write() -> None:
        with os.fdopen(sink, "wb", buffering=0) as stream:
            stream.writelines(chunks)

    writer = threading.Thread(target=write)
    writer.start()
    incoming = Incoming(source)
    found = [message for messages in incoming.messages() for message in messages]
    writer.join(PATIENCE)
    os.close(source)
    return incoming.framed, found


def framed(body: bytes) -> bytes:
    """A message with its header."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


bodies = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5)
places = st.lists(st.integers(0, 2000), max_size=8)


@given(bodies, places)
def test_framed_messages_arrive_whole_however_they_are_cut(messages, places):
    data = b"".join(framed(body) for body in messages)
    assert received(cut(data, places)) == (True, messages)


@given(st.lists(st.integers(), min_size=1, max_size=5), places)
def test_lines_arrive_whole_however_they_are_cut(numbers, places):
    lines = [json.dumps({"n": number}).encode() for number in numbers]
    data = b"\n".join(lines)
    assert received(cut(data, places)) == (False, lines)


def test_a_framed_message_over_the_limit_is_passed_over():
    far = wire.MAX_LINE_BYTES + 1
    data = [b"content-length: %d\r\n\r\n" % far, b"x" * far, framed(b"{}")]
    assert received(data) == (True, [None, b"{}"])


def test_headers_without_a_length_are_handed_out_for_a_refusal():
    data = b"Content-Type: application/json\r\n\r\n" + framed(b"{}")
    assert received([data])[1] == [b"Content-Type: application/json\r\n\r\n", b"{}"]
    endless = b"Content-Length: x" + b"y" * 20_000
    assert b"".join(received([endless])[1]).startswith(b"Content-Length: x")


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Wire]:
    """A server of our test's own."""
    child = Wire([sys.executable, str(SERVED), str(tmp_path)])
    yield child
    child.kill()


def test_a_client_that_frames_its_messages_is_answered_in_frames(child):
    request = {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": INITIALIZE}
    stdin = child.process.stdin
    stdin.write(framed(json.dumps(request).encode()))
    stdin.write(framed(b'{"jsonrpc":"2.0","method":"notifications/initialized"}'))
    stdin.write(framed(b'{"jsonrpc":"2.0","id":8,"method":"ping"}'))
    stdin.close()
    told = b""
    while (line := child.line()) is not None:
        told += line
    assert child.process.wait(PATIENCE) == 0
    answers = []
    while told:
        header, _, rest = told.partition(b"\r\n\r\n")
        length = int(header.removeprefix(b"Content-Length: "))
        answers.append(json.loads(rest[:length]))
        told = rest[length:]
    assert [answer["id"] for answer in answers] == [7, 8]
    assert answers[0]["result"]["serverInfo"]["name"] == "loop-orchestrator"
