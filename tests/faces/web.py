"""A server child process that speaks HTTP, and plain requests to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sidecar.mcp import token
from sidecar.workspace.user_dirs import UserDirs
from tests.faces.wire import INITIALIZE

SIDECAR = [sys.executable, "-c", "import sys; from sidecar.cli.main import main; sys.exit(main())"]
PATIENCE = 60


@dataclass
class Served:
    """A running server: where it listens, and the token it asks for."""

    process: subprocess.Popen[str]
    port: int
    token: str | None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def ask(self, path: str = "/mcp", method: str = "POST", **headers: str) -> tuple[int, str]:
        """One plain request; the status and the body's beginning."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
        body = json.dumps(request)
        sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        sent |= self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body if method == "POST" else None, sent)
        answer = connection.getresponse()
        text = answer.read(300).decode()
        connection.close()
        return answer.status, text


def start(workspace: Path, home: Path, *options: str) -> Served:
    """Start `sidecar mcp --http` on a free port and read where it listens."""
    command = [*SIDECAR, "mcp", "--http", "--port", "0", "--workspace", str(workspace), *options]
    environment = {**os.environ, "SIDECAR_HOME": str(home)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    told = ""
    while not (found := re.search(r"http://[^:]+:(\d+)/mcp", told)):
        line = process.stderr.readline()
        assert line, told
        told += line
    secret = None if "--no-token" in options else token.current(UserDirs.locate(home=home))
    return Served(process, int(found[1]), secret)


@contextmanager
def serving(workspace: Path, home: Path, *options: str) -> Iterator[Served]:
    """The same until the block ends, which kills it."""
    served = start(workspace, home, *options)
    try:
        yield served
    finally:
        served.process.kill()
        served.process.wait(PATIENCE)
        served.process.stderr.close()
