"""A child process that speaks JSON-RPC on its standard streams, line by line."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

PATIENCE = 60.0
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "wire", "version": "0"},
}


class Wire:
    """Both ends of the child's streams; answers are read beside, so that nothing blocks."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        self._answers: queue.Queue[bytes | None] = queue.Queue()
        self.errors = bytearray()
        threading.Thread(target=self._read_answers, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read_answers(self) -> None:
        for line in self.process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _read_errors(self) -> None:
        while chunk := self.process.stderr.read1():
            self.errors += chunk

    def send(self, message: Any) -> None:
        """Send one line: bytes as they are, anything else as JSON."""
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def line(self) -> bytes | None:
        """The next line as it came; None at the end."""
        line = self._answers.get(timeout=PATIENCE)
        if line is None:
            self._answers.put(None)  # whoever asks again need not wait
        return line

    def receive(self) -> Any:
        """The next line, as JSON; None at the end."""
        line = self.line()
        return None if line is None else json.loads(line)

    def request(self, method: str, params: Any = None, *, number: Any = 1) -> Any:
        """Send a request and return the next line."""
        message = {"jsonrpc": "2.0", "id": number, "method": method}
        self.send(message if params is None else {**message, "params": params})
        return self.receive()

    def call(self, name: str, arguments: Any, *, number: Any = 1, **more: Any) -> Any:
        """Call a tool and return the next line."""
        return self.request(
            "tools/call", {"name": name, "arguments": arguments, **more}, number=number
        )

    def initialize(self) -> Any:
        """Open the session as clients before 2026 do."""
        answer = self.request("initialize", INITIALIZE, number="init")
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def close(self) -> int:
        """Close the child's input and wait for its exit code."""
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End the child, whatever it does."""
        self.process.kill()
        self.process.wait(PATIENCE)
