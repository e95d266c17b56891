"""Starts, kills and reconnections in random order: one sidecar, no orphan, nothing lost or hung."""

from __future__ import annotations

import os
import queue
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.channel.clients import agent, alive, processes, sidecar, sidecars, status, until
from tests.faces.wire import Wire

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

ACTIONS = int(os.environ.get("SIDECAR_TORTURE_ACTIONS", "12"))
SECONDS = float(os.environ.get("SIDECAR_TORTURE_SECONDS", "60"))
SEED = int(os.environ.get("SIDECAR_TORTURE_SEED", "4"))
MOST_AGENTS = 5


class Torture:
    """A workspace, its agents, and what was acknowledged to them."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.home = home
        self.random = random.Random(SEED)
        self.agents: list[Wire] = []
        self.counts: Counter[str] = Counter()
        self.acknowledged: list[str] = []
        self.written = 0

    def start(self) -> None:
        """Several agents at once; each must be greeted."""
        count = self.random.choice([1, 2, 4])
        begun = [agent(self.root) for _ in range(count)]
        self.agents += begun
        for each in begun:
            assert "result" in each.initialize()
        self.counts["starts"] += count
        self.counts["starts at once"] += count > 1
        while len(self.agents) > MOST_AGENTS:
            self.leave()

    def leave(self) -> None:
        """An agent goes, in one of the ways in which they do."""
        if not self.agents:
            return
        going = self.agents.pop(self.random.randrange(len(self.agents)))
        number = self.random.choice([None, signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
        if number is None:
            going.process.stdin.close()
        else:
            going.process.send_signal(number)
        going.process.wait(30)
        self.counts["channels ended"] += 1
        self.counts["channels killed"] += number == signal.SIGKILL

    def crash(self) -> None:
        """The sidecar is killed; it may be just starting."""
        for process in processes(self.home):
            with suppress(ProcessLookupError):  # it was only starting another
                os.kill(process, signal.SIGKILL)
            until(lambda p=process: not alive(p))
            self.counts["sidecars killed"] += 1

    def stop(self) -> None:
        """A person ends the sidecar."""
        assert sidecar("stop", root=self.root).returncode == 0
        self.counts["stops"] += 1

    def write(self) -> None:
        """Every agent writes; the sidecar may be killed meanwhile. Each is answered."""
        asked: list[tuple[Wire, str]] = []
        for each in self.agents:
            self.written += 1
            word = f"write-{self.written}"
            change = {"file_path": "log.txt", "content": f"{word}\n", "append": True}
            call = {"name": "write_project_file", "arguments": change}
            each.send({"jsonrpc": "2.0", "id": word, "method": "tools/call", "params": call})
            asked.append((each, word))
        if self.random.random() < 0.3:
            self.crash()
        for each, word in asked:
            try:
                answer = each.receive()
            except queue.Empty:
                self.counts["hung"] += 1
                continue
            assert answer["id"] == word
            if "result" in answer and not answer["result"]["isError"]:
                self.acknowledged.append(word)
            else:
                self.counts["writes refused"] += 1

    def act(self) -> None:
        """One action; afterwards there is one sidecar at most."""
        actions: list[Callable[[], None]] = [self.start, self.leave, self.crash, self.stop]
        weights = [3, 2, 2, 1, 4]
        self.random.choices([*actions, self.write], weights)[0]()
        self.counts["actions"] += 1
        # A process that ends is still listed when the next one has its lock already.
        until(lambda: len(sidecars(self.home)) <= 1)
        self.counts["looks that saw one sidecar at most"] += 1

    def end(self) -> None:
        """All leave."""
        while self.agents:
            self.leave()
        until(lambda: not processes(self.home))


def test_no_order_of_events_gives_two_sidecars_an_orphan_or_a_lost_write(
    example_workspace, user_directory, capsys
):
    torture = Torture(example_workspace, user_directory)
    try:
        torture.start()
        until_then = time.monotonic() + SECONDS
        while torture.counts["actions"] < ACTIONS and time.monotonic() < until_then:
            torture.act()
        torture.write()
        torture.end()
    finally:
        for each in torture.agents:
            each.kill()
    log = example_workspace / "log.txt"
    found = Counter(log.read_text().split()) if log.exists() else Counter()
    lost = [word for word in torture.acknowledged if found[word] == 0]
    twice = [word for word, count in found.items() if count > 1]
    told = {
        **torture.counts,
        "actions": f"{torture.counts['actions']}/{ACTIONS}",
        "acknowledged writes found": f"{len(torture.acknowledged) - len(lost)}"
        f"/{len(torture.acknowledged)}",
        "written twice": len(twice),
        "clients hung": f"{torture.counts['hung']}/{torture.written + torture.counts['starts']}",
        "sidecars left": len(processes(user_directory)),
    }
    with capsys.disabled():
        print("", *(f"{name}: {value}" for name, value in told.items()), sep="\n  ")
    assert torture.acknowledged
    assert not lost
    assert not twice
    assert not torture.counts["hung"]
    assert not status(example_workspace)["running"]
