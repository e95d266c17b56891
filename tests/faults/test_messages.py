"""Random and mutated messages: each is answered or refused, and the server lives."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXAMPLE
from tests.faces.wire import Wire
from tests.faults.mutations import Message, Mutator

pytestmark = pytest.mark.faults

SIDECAR = "import sys; from sidecar.cli.main import main; sys.exit(main())"
MESSAGES = int(os.environ.get("SIDECAR_FUZZ_MESSAGES", "1000"))
SEED = int(os.environ.get("SIDECAR_FUZZ_SEED", "1"))
BATCH = 25
MOST_GROWTH = 200_000_000
LARGE = 20_000_000


def resident(process: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else 0


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """The real server on a copy of the sample workspace."""
    root = tmp_path / "ws"
    shutil.copytree(EXAMPLE, root)
    home = {**os.environ, "SIDECAR_HOME": str(tmp_path / "home")}
    wire = Wire([sys.executable, "-c", SIDECAR, "mcp", "--workspace", str(root)], env=home)
    wire.initialize()
    yield wire
    wire.kill()


class Ledger:
    """Which messages were sent, and what came back for them."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.kinds: Counter[str] = Counter()
        self._open: dict[str, Message] = {}
        self._nameless = self._certain = 0

    def batch(self, messages: list[Message], number: int) -> None:
        """Send them and a ping; each must have its answer, the ping too."""
        for message in messages:
            if message.known_id:
                self._open[message.known_id] = message
            else:
                self._nameless += 1
                self._certain += not message.may_be_silent
            self.wire.send(message.line)
        ping = f"ping-{number}"
        self.wire.send({"jsonrpc": "2.0", "id": ping, "method": "ping"})
        refused, waiting = 0, True
        while waiting or self._open or refused < self._certain:
            answer = self._received(refused)
            if "method" in answer:  # a notification of the server's
                continue
            known = answer.get("id")
            waiting = waiting and known != ping
            if known is None or known not in self._open:
                refused += known != ping
            else:
                del self._open[known]
            if known != ping:
                self.kinds["refused" if "error" in answer else "answered"] += 1
        self._nameless = self._certain = 0

    def _received(self, refused: int) -> Any:
        try:
            answer = self.wire.receive()
        except queue.Empty:
            lost = [message.line for message in self._open.values()]
            pytest.fail(f"unanswered: {lost}; {refused} of {self._certain} refused without an id")
        assert answer is not None, f"the server died: {bytes(self.wire.errors[-2000:])!r}"
        assert answer["jsonrpc"] == "2.0"
        assert not re.search(r"Traceback|site-packages|unexpectedly", json.dumps(answer)), answer
        return answer


def test_each_message_over_stdio_is_answered_or_refused(wire: Wire, figure: Callable[[str], None]):
    source, ledger = Mutator(SEED), Ledger(wire)
    ledger.batch([source.message() for _ in range(BATCH * 4)], -1)
    before = resident(wire.process.pid)
    began = time.monotonic()
    for number in range(MESSAGES // BATCH):
        ledger.batch([source.message() for _ in range(BATCH)], number)
    grown = resident(wire.process.pid) - before

    ledger.batch([], MESSAGES)  # late answers may stand before that of the last ping
    assert wire.process.poll() is None
    figure(
        f"messages over stdio: {MESSAGES:,} sent in {time.monotonic() - began:.0f} s, "
        f"{ledger.kinds['answered']:,} answered, {ledger.kinds['refused']:,} refused, the others "
        f"notifications; 0 unanswered; memory grew {grown / 1e6:.1f} MB"
    )
    assert grown < MOST_GROWTH


def test_a_line_of_20_megabytes_is_refused_and_does_not_stay_in_memory(
    wire: Wire, figure: Callable[[str], None]
):
    wire.request("ping")
    before = resident(wire.process.pid)
    call = {"name": "write_project_file", "arguments": {"file_path": "a", "content": "x" * LARGE}}
    for number in range(3):
        wire.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call})
        refusal = wire.receive()
        assert refusal["id"] is None
        assert refusal["error"]["code"] == -32600
        assert wire.request("ping", number="after")["id"] == "after"
    for _ in range(3):
        wire.send(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"' + b" " * LARGE + b"}")
        assert wire.receive()["error"]["code"] == -32600
    grown = resident(wire.process.pid) - before

    figure(f"six lines of 20 MB: each refused; memory grew {grown / 1e6:.1f} MB")
    assert grown < MOST_GROWTH


def test_a_line_just_under_the_limit_is_a_message(wire: Wire):
    wire.send(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"' + b" " * 16_000_000 + b"}")
    assert wire.receive() == {"jsonrpc": "2.0", "id": 1, "result": {}}


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_messages_may_arrive_in_any_pieces(wire: Wire, size: int):
    text = b"".join(
        json.dumps({"jsonrpc": "2.0", "id": n, "method": "ping", "params": {"_meta": {"é": "😀"}}})
        .encode() + b"\r\n" for n in range(20)
    )  # fmt: skip
    for at in range(0, len(text), size):
        wire.process.stdin.write(text[at : at + size])
        wire.process.stdin.flush()
    assert [wire.receive()["id"] for _ in range(20)] == list(range(20))


def test_a_flood_of_calls_is_answered_call_by_call(wire: Wire):
    call = {"name": "read_project_file", "arguments": {"file_path": "TODO.md"}}
    for number in range(300):
        wire.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call})
    answers = [wire.receive() for _ in range(300)]
    assert {answer["id"] for answer in answers} == set(range(300))
    assert not any(answer["result"]["isError"] for answer in answers)
