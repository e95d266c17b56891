"""kill -9 at random moments of write streams through every tool that changes anything."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain import timing
from sidecar.services import registry
from tests.faults.orders import REPOSITORY, ordered
from tests.faults.streams import STREAMS, State, broken, prepare

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers are forked"),
]

EXAMPLE = REPOSITORY / "examples" / "workspace"
TRIALS = int(os.environ.get("SIDECAR_TRIALS", "3"))
SERVERS = int(os.environ.get("SIDECAR_SERVER_TRIALS", "2"))
LANES = int(os.environ.get("SIDECAR_LANES", "1"))
LONGEST = 0.25


@dataclass
class Tally:
    """What was found after the kills."""

    trials: int = 0
    acknowledged: int = 0
    torn: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def record(self, tell: Callable[[str, object], None]) -> None:
        """Tell the figures to the report."""
        tell("kills", self.trials)
        tell("acknowledged", self.acknowledged)
        tell("torn", f"{len(self.torn)}/{self.trials}")
        tell("lost", f"{len(self.lost)}/{self.acknowledged}")
        print(
            f"\nkills {self.trials}, torn {len(self.torn)}/{self.trials},"
            f" acknowledged and lost {len(self.lost)}/{self.acknowledged}"
        )


def workspace(folder: Path) -> Path:
    """A fresh copy of the sample workspace."""
    return Path(shutil.copytree(EXAMPLE, folder / "workspace"))


def problem_rows(root: Path) -> int:
    """How many rows of the time log are not as they should be."""
    rows = timing.parse((root / "task_timing.tsv").read_text("utf-8")).rows
    return sum(bool(row.problem) for row in rows)


def judge(tally: Tally, name: str, root: Path, acknowledged: list[dict[str, Any]]) -> None:
    """Look at a workspace after a kill, as the next process does."""
    stream, state = STREAMS[name], State.of(root)
    tally.trials += 1
    tally.acknowledged += len(acknowledged)
    tally.torn += [f"{name}: {what}" for what in broken(state, problem_rows(EXAMPLE))]
    for each in acknowledged[-1:] if stream.last_only else acknowledged:
        if not stream.present(state, each["number"], each["answer"]):
            tally.lost.append(f"{name} {each['number']}")
    # And the next call works at once, whatever lock or temporary file the dead one left.
    state.ask("write_project_file", {"file_path": "after.txt", "content": "works\n"})
    state.context.workspace.close()


def noted(file: Path) -> list[dict[str, Any]]:
    """What was acknowledged; a line cut off by the kill was not."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]]


def killed_workers(folder: Path, lane: int) -> Tally:
    """Kill workers of every stream, this lane's share of the trials."""
    chance, tally = random.Random(lane), Tally()
    with ordered("tests.faults.mortal") as kill:
        for number in range(lane, TRIALS, LANES):
            for place, name in enumerate(STREAMS):
                here = folder / f"{number}-{place}"
                here.mkdir()
                root = workspace(here)
                prepare(root, STREAMS[name])
                order = {
                    "stream": name,
                    "root": str(root),
                    "acknowledged": str(here / "acknowledged"),
                    "delay": chance.uniform(0, LONGEST),
                    "wait": chance.random() < 0.5,
                }
                assert kill(order)["lived"] > 0
                judge(tally, name, root, noted(here / "acknowledged"))
                shutil.rmtree(here)
    return tally


def test_every_tool_that_changes_something_has_a_stream():
    """A new tool that writes must be killed, too."""
    changing = {name for name, tool in registry.TOOLS.items() if not tool.read_only}

    assert {stream.tool for stream in STREAMS.values()} == changing


def test_a_killed_worker_leaves_whole_files_and_every_acknowledged_change(
    tmp_path: Path, record_property: Callable[[str, object], None]
):
    with ThreadPoolExecutor(LANES) as lanes:
        tallies = list(lanes.map(partial(killed_workers, tmp_path), range(LANES)))
    tally = Tally(
        sum(each.trials for each in tallies),
        sum(each.acknowledged for each in tallies),
        [each for tally in tallies for each in tally.torn],
        [each for tally in tallies for each in tally.lost],
    )

    tally.record(record_property)
    assert (tally.torn, tally.lost) == ([], [])
    assert tally.trials == TRIALS * len(STREAMS)
    assert tally.acknowledged > tally.trials // 4


OPENING = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "kill", "version": "1"},
}
SERVED = (
    "track_task_time, plain",
    "update_persistent_memory",
    "manage_schedules",
    "write_project_file, append",
)


def served(root: Path, chance: random.Random) -> dict[str, list[dict[str, Any]]]:
    """The answers that a real server gave to calls sent all at once, before it was killed."""
    command = [sys.executable, "-m", "sidecar", "mcp", "--solo", "--workspace", str(root)]
    calls = [(name, number) for number in range(40) for name in SERVED]
    messages: list[dict[str, Any]] = [
        {"id": "open", "method": "initialize", "params": OPENING},
        {"method": "notifications/initialized"},
    ]
    for place, (name, number) in enumerate(calls):
        stream = STREAMS[name]
        params = {"name": stream.tool, "arguments": stream.arguments(number)}
        messages.append({"id": place, "method": "tools/call", "params": params})
    lines = [json.dumps({"jsonrpc": "2.0", **message}) for message in messages]
    home = {"SIDECAR_HOME": str(root.parent / "home")}
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **home},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        with ThreadPoolExecutor(1) as sender:
            sending = sender.submit(sent, server.stdin, lines)
            text = [server.stdout.readline(), server.stdout.readline()]
            time.sleep(chance.uniform(0, 1.0))
            server.send_signal(signal.SIGKILL)
            text += server.stdout.read().split("\n")
            sending.result()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in SERVED}
    for line in text:
        if not line.strip().endswith("}"):
            continue
        message = json.loads(line)
        if message.get("id") in {"open", None} or message["result"].get("isError"):
            continue
        name, number = calls[message["id"]]
        answer = message["result"]["structuredContent"]
        found[name].append({"number": number, "answer": answer})
    return found


def sent(stream: Any, lines: list[str]) -> None:
    """Write as much as the server reads while it lives."""
    try:
        for line in lines:
            stream.write(line + "\n")
            stream.flush()
    except BrokenPipeError:
        return


def test_a_killed_server_keeps_what_it_has_acknowledged_to_many_calls_in_flight(
    tmp_path: Path, record_property: Callable[[str, object], None]
):
    chance, tally = random.Random(2), Tally()
    for number in range(SERVERS):
        folder = tmp_path / str(number)
        folder.mkdir()
        root = workspace(folder)
        for name, acknowledged in served(root, chance).items():
            judge(tally, name, root, acknowledged)
        tally.trials -= len(SERVED) - 1

    tally.record(record_property)
    assert (tally.torn, tally.lost) == ([], [])
    assert tally.trials == SERVERS
