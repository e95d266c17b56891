"""Clients as processes, and what can be seen of the sidecar from outside."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sidecar.channel import seat
from sidecar.channel.place import place_of
from tests.faces.wire import PATIENCE, Wire

SIDECAR = [sys.executable, "-P", "-m", "sidecar"]
# How a sidecar that a channel has started looks in the list of processes.
MARK = b"sidecar.host.process"


def agent(root: Path, *options: str, **more: Any) -> Wire:
    """An agent's `sidecar mcp`."""
    return Wire([*SIDECAR, "mcp", "--workspace", str(root), *options], **more)


def sidecar(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    """A command of a person about a workspace."""
    command = [*SIDECAR, *arguments, "--workspace", str(root)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)


def status(root: Path) -> dict[str, Any]:
    """What the workspace's sidecar says of itself."""
    place = place_of(str(root))
    link = seat.ask(place, seat.greeting("status", place))
    if link is None:
        return {"running": False, "clients": []}
    link.close()
    return link.answer


def processes(home: Path) -> set[int]:
    """The sidecars that were started by channels under this home and still live."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        # Between the fork and its end, the starting process looks the same: it leads no session.
        if MARK in words and os.fsencode(home) in words and state != b"Z":
            found.add(int(folder.name))
    return found


def sidecars(home: Path) -> set[int]:
    """The same, without those that are just about to fork."""
    leaders = set()
    for process in processes(home):
        try:
            if os.getsid(process) == process:
                leaders.add(process)
        except ProcessLookupError:
            continue
    return leaders


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives as soon as it is true; fails when that takes too long."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return found


def total(wire: Wire, number: Any = 7) -> int:
    """How many tasks the plan has, asked of a tool."""
    answer = wire.call("get_todo_status", {"include_completed": True}, number=number)
    assert "result" in answer, answer
    return int(answer["result"]["structuredContent"]["total"])


def crash(root: Path) -> int:
    """Kill the workspace's sidecar as nothing can notice; returns which process it was."""
    process = int(status(root)["pid"])
    os.kill(process, signal.SIGKILL)
    # Its first thread may be gone while others still hold its sockets.
    until(lambda: not alive(process) and status(root).get("pid") != process)
    return process


def alive(process: int) -> bool:
    """Whether a process runs; one that only waits for its parent's look does not."""
    try:
        return b") Z " not in Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return False


class Editor:
    """An editor's `sidecar lsp`, by its bytes."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [*SIDECAR, "lsp", *options], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, method: str, params: Any = None, number: Any = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        body = json.dumps(message if number is None else {**message, "id": number}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def receive(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The next message that is wanted."""
        while True:
            message = self._messages.get(timeout=PATIENCE)
            assert message is not None, "the channel closed its output"
            if wanted(message):
                return message

    def _read(self) -> None:
        out = self.process.stdout
        while header := out.readline():
            out.readline()
            self._messages.put(json.loads(out.read(int(header.partition(b":")[2]))))
        self._messages.put(None)

    def initialize(self, **capabilities: Any) -> dict[str, Any]:
        folder = {"uri": self.root.as_uri(), "name": "w"}
        params = {"processId": None, "capabilities": capabilities, "workspaceFolders": [folder]}
        self.send("initialize", params, 0)
        answer = self.receive(lambda m: m.get("id") == 0)
        self.send("initialized", {})
        return answer

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    def open(self, name: str, text: str) -> None:
        item = {"uri": self.uri(name), "languageId": "x", "version": 1, "text": text}
        self.send("textDocument/didOpen", {"textDocument": item})

    def change(self, name: str, version: int, *changes: dict[str, Any]) -> None:
        identifier = {"uri": self.uri(name), "version": version}
        params = {"textDocument": identifier, "contentChanges": list(changes)}
        self.send("textDocument/didChange", params)

    def shown(self, name: str, *codes: str) -> dict[str, Any]:
        """The next publication of a file with these codes, without any where none is named."""

        def wanted(message: dict[str, Any]) -> bool:
            params = message.get("params") or {}
            if message.get("method") != "textDocument/publishDiagnostics":
                return False
            found = {each["code"] for each in params["diagnostics"]}
            return params["uri"] == self.uri(name) and (found >= set(codes) if codes else not found)

        return self.receive(wanted)["params"]

    def close(self) -> int:
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
