"""Plain calls that go past the SDK are answered as the SDK would answer them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.mcp.calls import Answer
from sidecar.mcp.direct import THREADS, Direct
from tests.faces.wire import INITIALIZE, Wire

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "workspace"
VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
CALLS: list[tuple[str, Any]] = [
    ("get_todo_status", {"limit": 2}),
    ("get_schedule_status", {}),
    ("read_project_file", {"file_path": "TODO.md", "limit": 3}),
    ("read_project_file_tool", {"file_path": "TODO.md", "include_metadata": True}),
    ("read_project_file", {"file_path": "../outside"}),
    ("read_project_file", {"file_path": 7}),
    ("write_project_file", {"file_path": "a.txt", "content": "é😀\n", "dry_run": True}),
    ("manage_schedules", {"action": "create", "schedule_data": '{"name": 1}'}),
    ("get_todo_status", {"nonsense": 1}),
    ("get_todo_status", None),
    ("no_such_tool", {}),
]
# Only the SDK serves a call that wants progress.
BY_THE_SDK = {"_meta": {"progressToken": "p"}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample workspace."""
    return Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("direct") / "workspace"))


@pytest.fixture(scope="module", params=VERSIONS)
def wire(root: Path, request: pytest.FixtureRequest) -> Iterator[Wire]:
    """The real server, opened in one version of the protocol."""
    command = [sys.executable, "-m", "sidecar", "mcp", "--solo", "--workspace", str(root)]
    wire = Wire(command, env={**os.environ, "SIDECAR_HOME": str(root.parent / "home")})
    wire.request("initialize", {**INITIALIZE, "protocolVersion": request.param}, number="init")
    wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    wire.call("get_todo_status", {}, **BY_THE_SDK)
    yield wire
    wire.kill()


def without_time(answer: Any) -> Any:
    """An answer without the moment at which it was given."""
    told = answer["result"]["structuredContent"]
    return {**answer, "result": {**answer["result"], "structuredContent": {**told, "timestamp": 0}}}


@pytest.mark.parametrize(("name", "arguments"), CALLS)
def test_a_plain_call_gets_the_answer_that_the_sdk_sends(wire: Wire, name: str, arguments: Any):
    plain = wire.call(name, arguments, number="ä")
    by_the_sdk = wire.call(name, arguments, number="ä", **BY_THE_SDK)
    assert without_time(plain) == without_time(by_the_sdk)


class Tools:
    """Tools that wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.seconds = 60.0

    def answer(self, name: str, arguments: dict[str, Any], client: str) -> Answer:
        """Who asked for what."""
        self.go.wait(10)
        return Answer(f"{client}: {name}", arguments)

    def is_quick(self, name: str) -> bool:
        """Whether it does not wait."""
        return name == "quick"

    def patience(self, _: dict[str, Any]) -> float:
        """Seconds until a call is late."""
        return self.seconds

    def too_late(self, name: str, _: dict[str, Any]) -> Answer:
        """That it is."""
        return Answer(f"{name} is late", {}, is_error=True)


class Connected:
    """A connection that has shaken hands."""

    def __init__(self) -> None:
        self.tools = Tools()
        self.sent: list[tuple[Any, Any]] = []
        self.direct = Direct(self.tools, self._sent)

    def shake(self) -> Connected:
        """Do what a client does first."""
        self.direct.requested("initialize", 0, INITIALIZE)
        self.direct.agreed(0)
        self.direct.told("notifications/initialized")
        return self

    def _sent(self, number: Any, message: bytes) -> None:
        self.sent.append((number, json.loads(message)))


def line(**changes: Any) -> bytes:
    """A plain call with changes; a value of ``...`` takes a key out."""
    params = {"name": "t", "arguments": {"a": 1}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params} | changes
    return json.dumps({key: value for key, value in message.items() if value is not ...}).encode()


def params(**changes: Any) -> bytes:
    """A plain call whose params are changed."""
    return line(params={"name": "t", "arguments": {"a": 1}} | changes)


@pytest.mark.parametrize(
    "plain",
    [
        line(),
        line(id="one"),
        params(arguments=None),
        params(_meta={}),
        params(_meta={"claudecode/toolUseId": "x"}),
        line(params={"name": "t"}),
    ],
)
def test_a_plain_call_is_taken(plain: bytes):
    assert Connected().shake().direct.call(plain) is not None


@pytest.mark.parametrize(
    "other",
    [
        b"{bad tools/call",
        b'["tools/call"]',
        b'{"method": "tools/call", "id": 1, "jsonrpc": "2.0"}',
        line(id=...),
        line(id=None),
        line(id=True),
        line(id=1.5),
        line(id=2**70),
        line(jsonrpc="1.0"),
        line(extra=1),
        line(method="tools/list", params={"cursor": "tools/call"}),
        params(name=1),
        params(arguments="{}"),
        params(arguments=[]),
        params(task={}),
        params(_meta=None),
        params(_meta={"progressToken": 1}),
        params(_meta={"io.modelcontextprotocol/protocolVersion": "2026-07-28"}),
        line(params={"name": "t", "arguments": {"a": "\ud800"}}),
    ],
)
def test_everything_else_is_left_to_the_sdk(other: bytes):
    assert Connected().shake().direct.call(other) is None


def test_nothing_is_taken_before_the_handshake_is_complete():
    connected = Connected()
    direct = connected.direct
    assert direct.call(line()) is None
    direct.requested("initialize", 0, INITIALIZE)
    direct.told("notifications/initialized")
    assert direct.call(line()) is None
    direct.agreed(5)
    assert direct.call(line()) is None
    direct.agreed(0)
    assert direct.call(line()) is not None


def test_after_a_second_handshake_the_sdk_judges_alone():
    direct = Connected().shake().direct
    direct.requested("initialize", 9, INITIALIZE)
    assert direct.call(line()) is None


def finished(connected: Connected) -> None:
    """Wait until every call has ended, be it unheard."""
    probe = connected.direct.call(line(id="probe"))
    assert probe is not None
    connected.direct.start(probe)
    connected.tools.go.set()
    for _ in range(1000):
        if any(number == "probe" for number, _ in connected.sent):
            return
        threading.Event().wait(0.01)
    pytest.fail("the call was never answered")


def test_a_cancelled_call_is_not_answered_and_its_id_can_be_used_again():
    connected = Connected().shake()
    first = connected.direct.call(line())
    assert first is not None
    connected.direct.start(first)
    connected.direct.cancel(1)
    again = connected.direct.call(params(name="again"))
    assert again is not None
    connected.direct.start(again)
    finished(connected)
    texts = [sent["result"]["content"][0]["text"] for number, sent in connected.sent if number == 1]
    assert texts == ["wire: again"]


def test_a_late_call_is_refused_once_and_its_answer_dropped():
    connected = Connected().shake()
    connected.tools.seconds = -1.0
    late = connected.direct.call(line())
    assert late is not None
    connected.direct.start(late)
    connected.direct.expire()
    connected.direct.expire()
    connected.tools.seconds = 60.0
    finished(connected)
    told = [sent["result"] for number, sent in connected.sent if number == 1]
    assert [(each["isError"], each["content"][0]["text"]) for each in told] == [(True, "t is late")]


def test_a_quick_call_is_left_to_whoever_has_read_it():
    connected = Connected().shake()
    connected.tools.go.set()
    call = connected.direct.call(params(name="quick"))
    assert call is not None
    work = connected.direct.start(call)
    assert work is not None
    assert connected.sent == []
    work()
    assert [number for number, _ in connected.sent] == [1]
    assert connected.direct.is_idle


@pytest.mark.parametrize("cancelled", [False, True], ids=["waited for", "cancelled"])
def test_where_many_quick_calls_last_one_more_is_run_beside(cancelled: bool):
    """A client that cancels, or reads no answers, gets no thread for each of its calls."""
    connected = Connected().shake()
    for number in range(THREADS):
        lasting = connected.direct.call(line(id=number, params={"name": "quick"}))
        assert lasting is not None
        work = connected.direct.start(lasting)
        assert work is not None
        threading.Thread(target=work, daemon=True).start()
        if cancelled:
            connected.direct.cancel(number)
    call = connected.direct.call(line(id="q", params={"name": "quick"}))
    assert call is not None
    assert connected.direct.start(call) is None
    finished(connected)
    assert {number for number, _ in connected.sent} >= {"q", "probe"}


def test_calls_that_last_beside_hold_up_no_quick_one():
    connected = Connected().shake()
    for number in range(THREADS):
        slow = connected.direct.call(line(id=number))
        assert slow is not None
        assert connected.direct.start(slow) is None
    call = connected.direct.call(line(id="q", params={"name": "quick"}))
    assert call is not None
    assert connected.direct.start(call) is not None
    finished(connected)
    assert len(connected.sent) == THREADS + 1
