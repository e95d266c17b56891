"""A workspace with schedules, a user's own runner, and real sidecar processes over both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sidecar.domain.run import RunRecord
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.sqlite_database import SqliteDatabase
from sidecar.workspace.user_dirs import UserDirs

# A hang must end the test; whether it passes does not depend on the time.
PATIENCE = 150
SIDECAR = (sys.executable, "-P", "-m", "sidecar")
MODES = """customModes:
  - slug: builder
    name: Builder
    roleDefinition: You build.
    groups:
      - read
      - edit
"""
# Says what it runs for, then does what the file `orders.json` beside it says for this start.
AGENT = """\
import json, os, sys, time
from pathlib import Path

here = Path(__file__).parent
prompt = sys.stdin.read()
with (here / "starts").open("a") as file:
    file.write(f"{os.environ['SIDECAR_RUN_ID']}\\t{os.getpid()}\\t{len(prompt)}\\n")
number = len((here / "starts").read_text().splitlines())
orders = json.loads((here / "orders.json").read_text())
order = orders[min(number, len(orders)) - 1]
print(f"start {number}: {order}", flush=True)
if order == "hang":
    time.sleep(600)
Path("work.txt").open("a").write(f"{os.environ['SIDECAR_RUN_ID']}\\n")
if order == "crash":
    os.kill(os.getpid(), 9)
sys.exit(order == "fail")
"""


@dataclass
class Place:
    """One user's folder, one agent, one workspace."""

    root: Path
    home: Path
    tools: Path

    @classmethod
    def make(cls, folder: Path, *, orders: Sequence[str] = ("succeed",), config: str = "") -> Place:
        """The folders with everything in them; nothing is trusted yet."""
        place = cls(folder / "workspace", folder / "home", folder / "tools")
        for each in (place.root / ".roo", place.home / "config", place.tools):
            each.mkdir(parents=True)
        (place.root / ".roomodes").write_text(MODES, "utf-8")
        (place.tools / "agent.py").write_text(AGENT, "utf-8")
        place.order(*orders)
        runner = json.dumps(["command", sys.executable, str(place.tools / "agent.py")])
        text = f'runner = "mine"\ntimezone = "UTC"\n{config}\n[runners]\nmine = {runner}\n'
        (place.home / "config" / "config.toml").write_text(text, "utf-8")
        return place

    def order(self, *orders: str) -> None:
        """What the agent does at its first start, its second, and so on: the last one for ever."""
        (self.tools / "orders.json").write_text(json.dumps(orders), "utf-8")

    def schedule(self, *, unit: str, due_in: float, **fields: Any) -> None:
        """One schedule, of one interval, that was made so long ago that it is due soon."""
        length = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}[unit]
        made = datetime.now(UTC) - length + timedelta(seconds=due_in)
        values = {
            "id": "1", "name": "Build", "mode": "builder", "taskInstructions": "Build it.",
            "scheduleType": "time", "timeInterval": "1", "timeUnit": unit, "active": True,
            "taskInteraction": "wait",
            "createdAt": made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }  # fmt: skip
        text = json.dumps({"schedules": [values | fields]}, indent=2) + "\n"
        (self.root / ".roo" / "schedules.json").write_text(text, "utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """The user's, with the settings that only a test needs."""
        kept = {name: v for name, v in os.environ.items() if not name.startswith("SIDECAR_")}
        return kept | {"SIDECAR_HOME": str(self.home), "SIDECAR_PORT": "0"}

    def sidecar(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        return subprocess.run(
            [*SIDECAR, *words, "--workspace", str(self.root)],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def serve(self) -> subprocess.Popen[bytes]:
        """``sidecar serve``, under way."""
        log = (self.tools / "serve.log").open("ab")
        command = [*SIDECAR, "serve", "--no-token", "--workspace", str(self.root)]
        with log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    @property
    def starts(self) -> list[tuple[str, int]]:
        """Every start of the agent: the run's id and the agent's pid."""
        path = self.tools / "starts"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [(run, int(pid)) for run, pid, _ in (line.split("\t") for line in lines)]

    def runs(self) -> list[RunRecord]:
        """All runs of the workspace, the oldest first."""
        user = UserDirs.locate(home=self.home)
        queue = DurableQueue(SqliteDatabase(user.state / "engine" / "engine.sqlite"))
        try:
            return queue.runs(workspace=user.workspace_id(self.root), limit=1000)[::-1]
        finally:
            queue.close()

    def rows(self) -> list[dict[str, str]]:
        """The rows of the time log."""
        lines = (self.root / "task_timing.tsv").read_text("utf-8").splitlines()
        head = lines[0].split("\t")
        return [dict(zip(head, line.split("\t"), strict=False)) for line in lines[1:]]

    def told(self) -> dict[str, Any]:
        """The one schedule as it stands in the file."""
        text = (self.root / ".roo" / "schedules.json").read_text("utf-8")
        found: dict[str, Any] = json.loads(text)["schedules"][0]
        return found


def until(what: Callable[[], Any], about: Callable[[], object] = lambda: "") -> Any:
    """What a question gives once it is true; fails after ``PATIENCE`` seconds."""
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        if time.monotonic() > end:
            message = f"it did not come about: {about()}"
            raise AssertionError(message)
        time.sleep(0.05)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet buried does not."""
    try:
        stat = open(f"/proc/{pid}/stat", encoding="ascii").read()  # noqa: PTH123, SIM115
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
