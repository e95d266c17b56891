"""What a client waits for, and what several clients cost: channels beside servers of their own.

``python benchmarks/channel_against_solo.py --install`` fetches the Node reference server first. All
kinds are started in turns, one after the other in each round, so that a busy machine slows all.
Cold means that no sidecar runs, warm that one does; busy means two loops that never rest.
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
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import mcp_against_peers as peers

OPENING = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
# The smallest server that its documentation shows, with one tool.
BARE = """
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
async def add(a: int, b: int) -> int:
    return a + b
server.run("stdio")
"""
# The least that a process between client and sidecar can do: it notes nothing of what it passes on,
# so that a client would wait for ever for what a sidecar owed that has died.
THOUGHTLESS = """
import os, sys, threading
from sidecar.channel.frames import HEADER, MESSAGE, frame
from sidecar.channel.place import place_of
from sidecar.channel.seat import find_or_start, greeting
place = place_of(sys.argv[1])
link = find_or_start(place, greeting("mcp", place))
def pass_on():
    while chunk := os.read(0, 65536):
        link.send(b"".join(frame(MESSAGE, line) for line in chunk.splitlines()))
    os._exit(0)
threading.Thread(target=pass_on).start()
for kind, body in link.frames():
    if kind == MESSAGE:
        os.write(1, body + b"\\n")
"""
LOOP = [sys.executable, "-S", "-c", "while True: pass"]
READ = "read_project_file"
NOTES = {"file_path": "notes.txt"}


class Server:
    """A client's server on stdin and stdout, and when it said what."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request."""
        self.tell({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        assert self.process.stdout
        while line := self.process.stdout.readline():
            message: dict[str, Any] = json.loads(line)
            if message.get("id") == number:
                return message
        raise ConnectionError(method)

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def opened(self) -> tuple[float, float]:
        """Milliseconds from the start to the answers to ``initialize`` and ``tools/list``."""
        self.ask(1, "initialize", OPENING)
        first = time.perf_counter()
        self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.ask(2, "tools/list", {})
        return (first - self.began) * 1000, (time.perf_counter() - self.began) * 1000

    def call(self, number: int, name: str, arguments: dict[str, Any]) -> None:
        """Call a tool once."""
        answer = self.ask(number, "tools/call", {"name": name, "arguments": arguments})
        assert not answer["result"].get("isError"), answer

    def end(self) -> float:
        """Leave; milliseconds until the process has ended."""
        assert self.process.stdin
        began = time.perf_counter()
        self.process.stdin.close()
        self.process.wait(30)
        return (time.perf_counter() - began) * 1000


def ours(folder: Path, *options: str) -> list[str]:
    """How a client starts ours."""
    return [sys.executable, "-P", "-m", "sidecar", "mcp", "--workspace", str(folder), *options]


def status(folder: Path) -> dict[str, Any]:
    """What the workspace's sidecar says of itself."""
    command = [sys.executable, "-P", "-m", "sidecar", "status", "--json", "--workspace"]
    told = subprocess.run([*command, str(folder)], check=True, capture_output=True).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def stop(folder: Path) -> None:
    """End the workspace's sidecar."""
    command = [sys.executable, "-P", "-m", "sidecar", "stop", "--workspace", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep the cores busy meanwhile."""
    with ExitStack() as running:
        for _ in range(loops):
            process = subprocess.Popen(LOOP)
            running.callback(process.wait)
            running.callback(process.kill)
        yield


def starts(folder: Path, options: argparse.Namespace) -> None:
    """Print what a client waits for at the start."""
    kinds: dict[str, tuple[list[str], Callable[[], object]]] = {
        "channel, cold": (ours(folder), lambda: stop(folder)),
        "channel, warm": (ours(folder), lambda: None),
        "sidecar mcp --solo": (ours(folder, "--solo"), lambda: None),
        "bare SDK server": ([sys.executable, "-P", "-c", BARE], lambda: None),
    }
    if peers.SERVER.is_file() and peers.node().is_file():
        command = [str(peers.node()), str(peers.SERVER), str(folder)]
        kinds["Node reference server"] = (command, lambda: None)
    for loops in (0, 2):
        took: dict[str, list[tuple[float, float, float]]] = {name: [] for name in kinds}
        with busy(loops):
            for _ in range(options.rounds):
                for name, (command, before) in kinds.items():
                    before()
                    server = Server(command, folder)
                    opened = server.opened()
                    if name == "channel, cold":
                        server.call(3, READ, NOTES)  # so that the next one is warm
                    took[name].append((*opened, server.end()))
        print(
            f"\nfrom the start, {loops} busy loops, {options.rounds} starts each, median (max) ms"
        )
        print(f"{'':24} {'initialize':>18} {'tools/list':>18} {'exit after EOF':>18}")
        for name, found in took.items():
            columns = [sorted(each) for each in zip(*found, strict=True)]
            told = [f"{statistics.median(c):9.1f} ({c[-1]:6.1f})" for c in columns]
            print(f"{name:24} {told[0]:>18} {told[1]:>18} {told[2]:>18}")
        bare = statistics.median(each[0] for each in took["bare SDK server"])
        for name in ("channel, cold", "channel, warm"):
            first = statistics.median(each[0] for each in took[name])
            print(f"  {name}: {bare / first:.1f} x faster to `initialize` than the bare SDK server")


def memory_of(process: int) -> tuple[float, float]:
    """Megabytes of resident memory, and of its own share (PSS)."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    figures = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    return figures["Rss"] / 1024, figures["Pss"] / 1024


def memory(folder: Path) -> None:
    """Print what three agents and an editor cost, beside three servers with a process each."""
    if not Path("/proc/self/smaps_rollup").exists():
        print("memory is not measured: the system does not tell it")
        return
    agents = [Server(ours(folder), folder) for _ in range(3)]
    for number, each in enumerate(agents):
        each.opened()
        each.call(3, READ, NOTES)
        del number
    editor = subprocess.Popen(
        [sys.executable, "-P", "-m", "sidecar", "lsp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
    )
    _open_editor(editor, folder)
    together = [each.process.pid for each in agents] + [editor.pid]
    sidecar = status(folder)["pid"]
    bare = [Server([sys.executable, "-P", "-c", BARE], folder) for _ in range(3)]
    for each in bare:
        each.opened()
    print("\nmemory, MB resident (own share)")
    channels = [memory_of(process) for process in together]
    whole = memory_of(sidecar)
    alone = [memory_of(each.process.pid) for each in bare]
    print("  channels of 3 agents and 1 editor: " + _listed(channels))
    print(f"  their sidecar: {_listed([whole])}")
    print("  3 bare SDK servers: " + _listed(alone))
    ours_all = whole[1] + sum(each[1] for each in channels)
    theirs = sum(each[1] for each in alone)
    print(f"  own share in all: ours {ours_all:.0f}, 3 bare SDK servers {theirs:.0f}")
    for each in (*agents, *bare):
        each.end()
    editor.kill()
    editor.wait()


def _listed(found: list[tuple[float, float]]) -> str:
    return ", ".join(f"{rss:.1f} ({pss:.1f})" for rss, pss in found)


def _open_editor(editor: subprocess.Popen[bytes], folder: Path) -> None:
    uri = folder.as_uri()
    params = {"processId": None, "capabilities": {}, "rootUri": uri}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    body = json.dumps(message).encode()
    assert editor.stdin
    assert editor.stdout
    editor.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    editor.stdin.flush()
    length = int(editor.stdout.readline().partition(b":")[2])
    editor.stdout.readline()
    editor.stdout.read(length)


# What agents ask: a file, a view of the workspace, a durable change.
CALLS: dict[str, tuple[str, peers.Arguments, int]] = {
    "reads of 5 kB": (READ, lambda _: NOTES, 1),
    "views of the schedules": ("get_schedule_status", lambda _: {}, 4),
    "durable appends to the time log": (*peers.UPDATES["time log"], 4),
}


def throughput(folder: Path, options: argparse.Namespace) -> None:
    """Print how many calls a second come through a channel, and solo.

    Beside them, through a relay that does nothing else: what a second process costs in any case.
    """
    kinds = {
        "channel": ours(folder),
        "thoughtless": [sys.executable, "-P", "-c", THOUGHTLESS, str(folder)],
        "solo": ours(folder, "--solo"),
    }
    for what, (tool, arguments, fewer) in CALLS.items():
        count = options.calls // fewer
        totals: dict[tuple[str, int], peers.Figures] = {}
        for number in range(min(options.rounds, 5)):
            for name, command in kinds.items():
                with peers.session(command, folder, dict(os.environ)) as client:
                    client.calls(READ, lambda _: NOTES, 100, 1)
                    for in_flight in (1, peers.IN_FLIGHT):
                        asked = partial(_numbered, arguments, f"{number}{name}{in_flight}")
                        found = client.calls(tool, asked, count, in_flight)
                        totals.setdefault((name, in_flight), peers.Figures()).add(found)
        print(f"\n{what}; the CPU of channel and thoughtless is without their sidecar's")
        for (name, in_flight), figures in totals.items():
            print(figures.line(f"{name}, {in_flight} in flight"))
        for in_flight in (1, peers.IN_FLIGHT):
            solo = totals["solo", in_flight].rate
            told = [f"{each} {totals[each, in_flight].rate / solo:.0%}" for each in list(kinds)[:2]]
            print(f"  calls/s of solo, {in_flight} in flight: {', '.join(told)}")


def _numbered(arguments: peers.Arguments, turn: str, number: int) -> dict[str, Any]:
    """A call's arguments, such that no task is begun twice."""
    made = arguments(number)
    if "task_description" in made:
        made["task_description"] += f" {turn}"
    return made


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="fetch Node and the peer first")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--only", choices=["starts", "memory", "throughput"], help="this part")
    options = parser.parse_args()
    if options.install:
        peers.install()
    (peers.ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=peers.ROOT / "build") as name:
        folder = Path(name).resolve() / "workspace"
        shutil.copytree(peers.EXAMPLE, folder)
        (folder / "notes.txt").write_text(peers.NOTES, encoding="utf-8")
        os.environ["SIDECAR_HOME"] = str(Path(name) / "home")
        _say_load()
        if options.only in {None, "starts"}:
            starts(folder, options)
        if options.only in {None, "memory"}:
            memory(folder)
        if options.only in {None, "throughput"}:
            throughput(folder, options)
        stop(folder)
        _say_load()
    return 0


def _say_load() -> None:
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, without the busy loops")


if __name__ == "__main__":
    sys.exit(main())
