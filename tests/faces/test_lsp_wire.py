"""The language server as bytes: what a client may get wrong, and how a session ends."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SECONDS = 30


class Wire:
    """A server process and the bytes to and from it."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.folder = folder
        words = command or (sys.executable, "-m", "sidecar", "lsp")
        self.process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        out = self.process.stdout
        while line := out.readline():
            assert line.lower().startswith(b"content-length:"), line
            length = int(line.partition(b":")[2])
            while out.readline().strip():
                pass
            self.messages.put(json.loads(out.read(length)))
        self.messages.put(None)

    def raw(self, data: bytes) -> None:
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method: str, params: Any = None, identifier: Any = None, **extra: Any) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params, **extra}
        if identifier is not None:
            message["id"] = identifier
        body = json.dumps(message).encode()
        self.raw(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def receive(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message = self.messages.get(timeout=SECONDS)
            assert message is not None, "the server closed its output"
            if wanted(message):
                return message

    def answer(self, identifier: Any) -> dict[str, Any]:
        return self.receive(lambda m: "method" not in m and m.get("id") == identifier)

    def initialize(self, **params: Any) -> dict[str, Any]:
        whole = {"processId": None, "rootUri": self.folder.as_uri(), "capabilities": {}, **params}
        self.send("initialize", whole, 0)
        answer = self.answer(0)
        self.send("initialized", {})
        return answer

    def alive(self) -> bool:
        """Whether a request is still answered; the method is unknown, so nothing else happens."""
        self.send("no/such/method", {}, "alive")
        return self.answer("alive")["error"]["code"] == -32601

    def exit_code(self) -> int:
        return self.process.wait(SECONDS)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """A server in an empty folder."""
    server = Wire(tmp_path)
    yield server
    server.process.kill()
    server.process.wait()


def framed(body: bytes, header: bytes = b"Content-Length: %d\r\n\r\n") -> bytes:
    return header % len(body) + body


def test_shutdown_then_exit_ends_with_0_and_exit_alone_with_1(tmp_path: Path) -> None:
    clean, abrupt = Wire(tmp_path), Wire(tmp_path)
    clean.initialize()
    clean.send("shutdown", None, 1)
    assert clean.answer(1)["result"] is None
    clean.send("exit")
    abrupt.initialize()
    abrupt.send("exit")

    assert (clean.exit_code(), abrupt.exit_code()) == (0, 1)


def test_exit_before_initialize_ends_the_server(wire: Wire) -> None:
    wire.send("exit")

    assert wire.exit_code() == 1


def test_the_end_of_input_ends_the_server(wire: Wire) -> None:
    wire.initialize()
    wire.process.stdin.close()

    assert wire.exit_code() == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_without_a_traceback(wire: Wire, number: int) -> None:
    wire.initialize()
    wire.process.send_signal(number)

    assert wire.exit_code() == 128 + number
    assert b"Traceback" not in wire.process.stderr.read()


def test_a_closed_output_ends_the_server_though_its_input_stays_open(tmp_path: Path) -> None:
    script = (
        "import json, os, subprocess, sys\n"
        "server = subprocess.Popen([sys.executable, '-m', 'sidecar', 'lsp'],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "server.stdout.close()\n"
        "body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'nothing'}).encode()\n"
        "for _ in range(2):\n"
        "    server.stdin.write(b'Content-Length: %d\\r\\n\\r\\n' % len(body) + body)\n"
        "    server.stdin.flush()\n"
        "print(server.wait(30))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.stdout.strip() == b"1", run.stderr


def test_the_server_ends_when_the_process_that_the_client_named_has_died(wire: Wire) -> None:
    client = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    wire.initialize(processId=client.pid)
    assert wire.alive()
    client.kill()  # and not waited for: a zombie is dead too

    assert wire.exit_code() == 1
    client.wait()


def test_headers_in_any_case_and_with_bare_line_feeds_are_understood(wire: Wire) -> None:
    wire.initialize()
    for identifier, header in enumerate(
        [
            b"content-length: %d\r\n\r\n",
            b"CONTENT-LENGTH:%d\n\n",
            b"Content-Type: application/vscode-jsonrpc\r\nContent-Length: %d\r\n\r\n",
            b"Content-Length:  %d \r\nContent-Type: x\r\n\r\n",
        ],
        start=10,
    ):
        body = {"jsonrpc": "2.0", "id": identifier, "method": "no/such"}
        wire.raw(framed(json.dumps(body).encode(), header))

        assert wire.answer(identifier)["error"]["code"] == -32601


def test_stray_text_between_messages_is_passed_over(wire: Wire) -> None:
    wire.initialize()
    wire.raw(b"some noise\r\n\r\nmore \xff\xfe noise, and no line end: ")

    assert wire.alive()


def test_a_line_without_end_does_not_end_the_session(wire: Wire) -> None:
    wire.initialize()
    wire.raw(b"x" * 300_000 + b"\r\n")

    assert wire.alive()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"\xff\xff", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"shutdown"}]', -32600),
        (b'{"id": null, "method": "shutdown"}', -32600),
        (b"17", -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": {}}', -32600),
        (b'{"jsonrpc": "2.0", "id": [], "method": "textDocument/hover"}', -32602),
    ],
)
def test_what_is_no_message_is_refused_and_the_session_goes_on(
    wire: Wire, body: bytes, code: int
) -> None:
    wire.initialize()
    wire.raw(framed(body))

    assert wire.receive(lambda m: "error" in m)["error"]["code"] == code
    assert wire.alive()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/hover", {"textDocument": 3}),
        ("textDocument/hover", {}),
        ("textDocument/codeAction", None),
        ("textDocument/hover", {"textDocument": {"uri": "file:///x"}, "position": {"line": "a"}}),
    ],
)
def test_invalid_parameters_are_answered_with_their_place(
    wire: Wire, method: str, params: Any
) -> None:
    wire.initialize()
    wire.send(method, params, 5)
    error = wire.answer(5)["error"]

    assert error["code"] == -32602
    assert "params" in error["message"]
    assert "Traceback" not in json.dumps(error)
    assert wire.alive()


@pytest.mark.parametrize(
    "message",
    [
        {"id": [], "result": None},
        {"id": {}, "error": {}},
        {"id": "unknown", "result": 1},
        {"id": "unknown", "error": {"code": 1, "message": "no"}},
        {"result": None},
        {"method": "$/progress", "params": 7},
        {"method": ""},
    ],
)
def test_odd_responses_and_notifications_are_survived(wire: Wire, message: dict[str, Any]) -> None:
    wire.initialize()
    wire.raw(framed(json.dumps({"jsonrpc": "2.0", **message}).encode()))

    assert wire.alive()


def test_invalid_notifications_are_survived(wire: Wire) -> None:
    wire.initialize()
    uri = (wire.folder / ".roomodes").as_uri()
    wire.send("textDocument/didOpen", {"textDocument": {"uri": 1}})
    wire.send("textDocument/didChange", {"textDocument": {"uri": uri, "version": 2}})
    text = {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": "x"}]}
    wire.send("textDocument/didChange", text)
    wire.send("textDocument/didClose", {"textDocument": {"uri": uri}})
    wire.send("$/cancelRequest", {"id": 99})
    wire.send("$/cancelRequest", {})
    wire.send("$/setTrace", {"value": "verbose"})

    assert wire.alive()


def test_requests_before_initialize_and_after_shutdown_are_refused(wire: Wire) -> None:
    wire.send("textDocument/hover", {}, 1)
    assert wire.answer(1)["error"]["code"] == -32002
    wire.send("textDocument/didOpen", {})

    wire.initialize()
    wire.send("initialize", {"processId": None, "capabilities": {}}, 2)
    assert wire.answer(2)["error"]["code"] == -32600

    wire.send("shutdown", None, 3)
    wire.answer(3)
    wire.send("textDocument/hover", {}, 4)
    assert wire.answer(4)["error"]["code"] == -32600
    wire.send("shutdown", None, 5)
    assert wire.answer(5)["error"]["code"] == -32600


def test_a_failure_inside_is_told_without_traceback_or_path(wire: Wire) -> None:
    wire.initialize()
    wire.send("workspace/executeCommand", {"command": "none"}, 1)
    error = wire.answer(1)["error"]

    assert error["code"] == -32602
    assert "data" not in error


NOISY = """
import os, subprocess, sys
from sidecar.lsp import stdio
streams = stdio.claim()
print("printed in Python")
os.write(1, b"written to descriptor 1\\n")
subprocess.run([sys.executable, "-c", "print('printed by a child'); print(repr(input()))"])
from sidecar.cli import editing
from sidecar.lsp import run
sys.exit(run.on_stdio(editing.open_context, streams))
"""


def test_what_anything_prints_never_reaches_the_client(tmp_path: Path) -> None:
    wire = Wire(tmp_path, sys.executable, "-c", NOISY)
    answer = wire.initialize()
    wire.send("exit")

    assert answer["result"]["serverInfo"]["name"] == "sidecar"
    assert wire.exit_code() == 1
    noise = wire.process.stderr.read()
    assert b"printed in Python" in noise
    assert b"written to descriptor 1" in noise
    assert b"printed by a child" in noise
    assert b"EOFError" in noise


def test_opening_a_folder_creates_nothing_in_it(wire: Wire) -> None:
    (wire.folder / ".roomodes").write_text("customModes: []\n")
    wire.initialize()
    assert wire.alive()
    wire.send("shutdown", None, 1)
    wire.answer(1)

    assert [path.name for path in wire.folder.iterdir()] == [".roomodes"]
