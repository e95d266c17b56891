"""Sessions that need no SDK do without it, and those that come to need it lose nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar import app
from sidecar.channel.framing import Incoming
from sidecar.channel.opening import Answers, manifest
from sidecar.mcp.calls import Answer
from sidecar.mcp.early import Descriptor, Early, Rest
from sidecar.mcp.stdio import Connection
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
from tests.faces.wire import INITIALIZE, Wire

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "workspace"
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
# A library that the SDK brings along.
OF_THE_SDK = "cryptography"


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """The real server on a copy of the sample workspace."""
    root = shutil.copytree(EXAMPLE, tmp_path / "workspace")
    command = [sys.executable, "-m", "sidecar", "mcp", "--solo", "--workspace", str(root)]
    wire = Wire(command, env={**os.environ, "SIDECAR_HOME": str(tmp_path / "home")})
    yield wire
    wire.kill()


def has_the_sdk(wire: Wire) -> bool:
    """Whether the server's process has loaded it."""
    return OF_THE_SDK in Path(f"/proc/{wire.process.pid}/maps").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process has loaded")
def test_a_session_of_lists_and_plain_calls_never_loads_the_sdk(wire: Wire):
    wire.request("initialize", INITIALIZE)
    wire.send(READY)
    assert wire.call("get_todo_status", {})["result"]["isError"] is False
    assert len(wire.request("tools/list")["result"]["tools"]) == 20
    assert wire.request("ping")["result"] == {}
    wire.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}})
    assert wire.call("no_such_tool", {})["result"]["isError"] is True
    assert not has_the_sdk(wire)

    wire.request("resources/read", {"uri": "sidecar://nothing"})

    assert has_the_sdk(wire)
    assert wire.call("get_todo_status", {})["result"]["isError"] is False
    assert wire.close() == 0


def test_the_sdk_knows_of_the_handshake_and_the_client_gets_no_answer_twice(wire: Wire):
    wire.request("initialize", INITIALIZE, number="first")
    wire.send(READY)
    wire.call("get_todo_status", {}, number=1)
    named = {"name": "get_todo_status", "arguments": {}, "_meta": {"progressToken": "p"}}
    wire.send({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": named})
    wire.send({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})
    answers = [wire.receive(), wire.receive()]
    assert sorted(answer["id"] for answer in answers) == [2, 3]
    assert all("error" not in answer for answer in answers)
    assert wire.request("ping", number="first")["result"] == {}


class Waiting:
    """A tool that waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def answer(self, name: str, arguments: dict[str, Any], client: str) -> Answer:
        """Who asked for what."""
        self.go.wait(30)
        return Answer(f"{client}: {name}", arguments)

    def is_quick(self, _: str) -> bool:
        """It waits."""
        return False

    def patience(self, _: dict[str, Any]) -> float:
        """Seconds until a call is late."""
        return 60.0

    def too_late(self, name: str, _: dict[str, Any]) -> Answer:
        """That it is."""
        return Answer(f"{name} is late", {}, is_error=True)


class Pipes:
    """A client's two pipes with the server before it has the SDK."""

    def __init__(self) -> None:
        source, self._to = os.pipe()
        self._from, sink = os.pipe()
        self.tools, self.sink = Waiting(), Descriptor(sink)
        incoming, answers = Incoming(source), Answers(manifest())
        self.early = Early(self.tools, incoming, self.sink, answers)
        self._lines = os.fdopen(self._from, "rb")

    def send(self, *messages: Any) -> None:
        """Send messages at once."""
        os.write(self._to, b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    def receive(self) -> Any:
        """The next message."""
        return json.loads(self._lines.readline())

    def leave(self) -> None:
        """End the input."""
        os.close(self._to)


def request(method: str, number: Any, params: Any = None) -> dict[str, Any]:
    """A request."""
    told = {} if params is None else {"params": params}
    return {"jsonrpc": "2.0", "id": number, "method": method, **told}


CALL = {"name": "waits", "arguments": {}}
UNKNOWN = {"uri": "sidecar://nothing"}


def test_a_call_that_was_begun_before_is_answered_once_and_keeps_its_id(tmp_path: Path):
    pipes = Pipes()
    pipes.send(request("initialize", 0, INITIALIZE), READY, request("tools/call", 1, CALL),
               request("resources/read", 2, UNKNOWN))  # fmt: skip
    rest = pipes.early.serve()
    assert isinstance(rest, Rest)
    assert pipes.receive()["id"] == 0

    server = app.mcp_server(Context(Workspace.open(tmp_path), Settings()))
    connection = Connection(rest, pipes.sink.write, earlier=pipes.early.direct)
    work = connection.serve(server, answered=pipes.early.answered)
    thread = threading.Thread(target=lambda: asyncio.run(work), daemon=True)
    thread.start()
    assert pipes.receive()["id"] == 2
    pipes.send(request("ping", 1))
    assert "still being answered" in json.dumps(pipes.receive())
    pipes.tools.go.set()
    answer = pipes.receive()
    assert (answer["id"], answer["result"]["isError"]) == (1, False)
    pipes.send(request("ping", 1))
    assert pipes.receive() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    pipes.leave()
    thread.join(30)
    assert not thread.is_alive()


def test_a_call_that_was_begun_before_can_be_cancelled_by_the_session(tmp_path: Path):
    pipes = Pipes()
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    pipes.send(request("initialize", 0, INITIALIZE), READY, request("tools/call", 1, CALL),
               request("resources/read", 2, UNKNOWN), cancelled, request("ping", 3))  # fmt: skip
    rest = pipes.early.serve()
    assert isinstance(rest, Rest)
    server = app.mcp_server(Context(Workspace.open(tmp_path), Settings()))
    connection = Connection(rest, pipes.sink.write, earlier=pipes.early.direct)
    work = connection.serve(server, answered=pipes.early.answered)
    thread = threading.Thread(target=lambda: asyncio.run(work), daemon=True)
    thread.start()
    assert {pipes.receive()["id"] for _ in range(3)} == {0, 2, 3}
    assert not pipes.early.direct.runs(1)
    pipes.tools.go.set()
    pipes.leave()
    thread.join(30)
    assert not thread.is_alive()


def test_at_the_end_of_input_what_is_nearly_done_is_answered():
    pipes = Pipes()
    pipes.send(request("initialize", 0, INITIALIZE), READY, request("tools/call", 1, CALL))
    pipes.leave()
    pipes.tools.go.set()
    assert pipes.early.serve() is None
    assert [pipes.receive()["id"], pipes.receive()["id"]] == [0, 1]


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'"a"', b"\xff", b'{"id": 1}', b'{"method": []}',
     b'{"method": "notifications/initialized"}',
     b'{"method": "notifications/cancelled", "params": {"requestId": 1}}',
     b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "notifications/cancelled"}'],
)  # fmt: skip
def test_what_is_no_message_of_a_client_is_left_to_the_sdk(line: bytes):
    pipes = Pipes()
    os.write(pipes._to, line + b"\n")
    rest = pipes.early.serve()
    assert isinstance(rest, Rest)
    assert next(rest.messages()) == [line]
