"""A client's messages are read by one thread at a time, and what lasts holds up nobody."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.mcp.reading import Line, Reader, StopReading, Work
from tests.faces.wire import Wire

PATIENCE = 30.0


class Client:
    """Messages that come one by one, what was taken of them, and by whom."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self.taken: list[tuple[Line, int]] = []
        self.done: list[Line] = []
        self.gates: dict[bytes, threading.Event] = {}
        self.ended = threading.Event()
        self.ends = 0
        self.reader = Reader(self._iterated(), self._take, self._end)
        threading.Thread(target=self.reader.read, daemon=True).start()

    def say(self, *messages: bytes) -> None:
        """Send messages; an empty one is the end."""
        for each in messages:
            self._messages.put(each)

    def _iterated(self) -> Iterator[Line]:
        while message := self._messages.get():
            yield message

    def _take(self, message: Line) -> Work | None:
        assert message is not None
        self.taken.append((message, threading.get_ident()))
        if message == b"not ours":
            raise StopReading
        return None if message.startswith(b"note") else lambda: self._work(message)

    def _work(self, message: bytes) -> None:
        if gate := self.gates.get(message):
            gate.wait(PATIENCE)
        self.done.append(message)

    def _end(self) -> None:
        self.ends += 1
        self.ended.set()

    def lasts(self, message: bytes) -> threading.Event:
        """Let the work of a message last until the event is set."""
        return self.gates.setdefault(message, threading.Event())

    def finished(self) -> list[bytes]:
        """End; the messages in the order in which they were taken."""
        self.say(b"")
        assert self.ended.wait(PATIENCE)
        return [message for message, _ in self.taken if message is not None]


def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    ends = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_quick_work_is_done_by_who_reads_before_the_next_message():
    client = Client()
    client.say(b"a", b"note", b"b")
    assert client.finished() == [b"a", b"note", b"b"]
    assert client.done == [b"a", b"b"]
    assert len({thread for _, thread in client.taken}) == 1


def test_work_that_lasts_is_left_behind_and_another_thread_reads_on():
    client = Client()
    gate = client.lasts(b"slow")
    client.say(b"slow", b"a", b"b")
    until(lambda: b"b" in client.done)
    assert client.done == [b"a", b"b"]
    gate.set()
    assert client.finished() == [b"slow", b"a", b"b"]
    threads = [thread for _, thread in client.taken]
    assert threads[0] != threads[1] == threads[2]
    until(lambda: b"slow" in client.done)


def test_who_was_left_behind_never_reads_again():
    client = Client()
    gate = client.lasts(b"slow")
    client.say(b"slow", b"a")
    until(lambda: b"a" in client.done)
    gate.set()
    until(lambda: b"slow" in client.done)
    client.say(*(b"%d" % number for number in range(50)))
    client.finished()
    assert client.taken[0][1] not in {thread for _, thread in client.taken[1:]}
    assert client.ends == 1


def test_several_that_last_are_left_behind_one_after_the_other():
    client = Client()
    gates = [client.lasts(b"slow %d" % number) for number in range(5)]
    client.say(*(b"slow %d" % number for number in range(5)), b"last")
    until(lambda: b"last" in client.done)
    for gate in reversed(gates):
        gate.set()
    client.finished()
    assert len({thread for _, thread in client.taken}) == 6


def test_after_a_rest_what_lasts_is_noticed_as_before():
    client = Client()
    client.say(b"a")
    time.sleep(1.3)  # the watch sleeps after a second
    gate = client.lasts(b"slow")
    client.say(b"slow", b"b")
    until(lambda: b"b" in client.done)
    gate.set()
    assert client.finished() == [b"a", b"slow", b"b"]


def test_a_message_for_somebody_else_ends_the_reading_and_leaves_the_rest():
    client = Client()
    client.say(b"a", b"not ours", b"rest")
    assert client.ended.wait(PATIENCE)
    assert [message for message, _ in client.taken] == [b"a", b"not ours"]
    assert client._messages.get_nowait() == b"rest"


@settings(deadline=None, max_examples=10)
@given(st.lists(st.sampled_from([0.0, 0.001, 0.019, 0.02, 0.021, 0.05]), max_size=12))
def test_every_message_is_taken_once_and_in_order_however_long_each_lasts(seconds: list[float]):
    taken: list[Line] = []
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def take(message: Line) -> Work:
        number = len(taken)
        taken.append(message)

        def work() -> None:
            time.sleep(seconds[number])
            done.put(number)

        return work

    messages: list[Line] = [b"%d" % number for number in range(len(seconds))]
    reader = Reader(iter(messages), take, lambda: ended.put(None))
    threading.Thread(target=reader.read, daemon=True).start()
    ended.get(timeout=PATIENCE)
    assert taken == messages
    assert sorted(done.get(timeout=PATIENCE) for _ in seconds) == list(range(len(seconds)))
    assert ended.empty()


@pytest.mark.parametrize("options", [["--solo"], []], ids=["solo", "channel"])
def test_a_ping_is_answered_while_a_reading_tool_takes_long(tmp_path: Path, options: list[str]):
    for number in range(2000):
        (tmp_path / f"{number}.txt").write_text("nothing of interest\n" * 200)
    command = [sys.executable, "-m", "sidecar", "mcp", "--workspace", str(tmp_path), *options]
    wire = Wire(command, env={**os.environ, "SIDECAR_HOME": str(tmp_path.parent / "home")})
    opening = {"protocolVersion": "2025-06-18", "capabilities": {}}
    wire.request("initialize", opening | {"clientInfo": {"name": "t", "version": "1"}}, number=0)
    wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    wire.call("get_todo_status", {}, number=1)
    searching = {"name": "search_in_files", "arguments": {"pattern": "z+[xy]"}}
    wire.send({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": searching})
    wire.send({"jsonrpc": "2.0", "id": 3, "method": "ping"})
    answers = [wire.receive(), wire.receive()]
    assert sorted(answer["id"] for answer in answers) == [2, 3], json.dumps(answers)[:300]
    assert [answer["id"] for answer in answers] == [3, 2]
    wire.kill()
