"""Agents for tests: real child processes that are told in a file what to do, and a workspace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from sidecar.domain.run import Origin, RunRequest, slot_run_id
from sidecar.domain.timing import Row
from sidecar.engine.execution import Execution
from sidecar.engine.run_json import to_dict
from sidecar.engine.runner import Runner
from sidecar.engine.runners.command import CommandRunner
from sidecar.services import timing_log
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "workspace"
SCHEDULE = "1745000000001"
SLOT = datetime(2025, 5, 1, 10, 20, tzinfo=UTC)
NOW = datetime(2025, 5, 1, 10, 23, 45, 678000, tzinfo=UTC)
# What an agent does: it follows the orders in a file, one line a step.
AGENT = """\
import json, os, subprocess, sys, time
from pathlib import Path
for step in json.loads(Path(sys.argv[1]).read_text()):
    match step:
        case ["write", path, text]: Path(path).write_text(text)
        case ["remove", path]: Path(path).unlink()
        case ["rename", path, other]: os.rename(path, other)
        case ["link", path, target]: os.symlink(target, path)
        case ["say", text]: print(text, flush=True)
        case ["note", path]: open(path, "a").write(os.environ["SIDECAR_RUN_ID"] + "\\n")
        case ["sleep", seconds]: time.sleep(seconds)
        case ["wait for", path]:
            while not Path(path).exists(): time.sleep(0.01)
        case ["run", *words]: subprocess.run(words, check=True)
        case ["escape", path]:
            code = "import sys, time; time.sleep(600)"
            left = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
            Path(path).write_text(str(left.pid))
        case ["exit", code]: sys.exit(code)
"""


# Writes a file as an agent does: by the tools of the MCP server that it starts where it works.
WRITER = """\
import json, subprocess, sys
path, text, *more = sys.argv[1:]
command = [sys.executable, "-P", "-m", "sidecar", "mcp", *more]
server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def send(**message):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    server.stdin.flush()
def answer():
    while "id" not in (message := json.loads(server.stdout.readline())): pass
    return message["result"]
client = {"name": "writer", "version": "1"}
params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
send(id=1, method="initialize", params=params)
answer()
send(method="notifications/initialized")
arguments = {"file_path": path, "content": text}
send(id=2, method="tools/call", params={"name": "write_project_file", "arguments": arguments})
assert answer()["structuredContent"]["success"]
server.stdin.close()
server.wait()
"""


def workspace(folder: Path) -> Path:
    """A fresh copy of the sample workspace, writable."""
    root = Path(shutil.copytree(EXAMPLE, folder / "workspace"))
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


def git(root: Path, *arguments: str) -> str:
    """What git prints, run as the user runs it."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout


def repository(root: Path) -> Path:
    """The workspace as a git repository with one commit."""
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Begin")
    return root


class Bench:
    """One workspace, its execution, and an agent that does what it is told."""

    def __init__(self, root: Path, folder: Path, **settings: Any) -> None:
        self.root = root
        # Processes are known by their run's id: no two tests may have the same.
        self.id = sha256(str(root).encode()).hexdigest()[:16]
        self.now = NOW
        self.orders = folder / "orders.json"
        script = folder / "agent.py"
        if not script.exists():
            script.write_text(AGENT)
        argv = ("command", sys.executable, str(script), str(self.orders))
        chosen = Settings(timezone="UTC", check_seconds=10, runners={"agent": argv}, **settings)
        self.context = Context(Workspace.open(root), chosen, lambda: self.now, code_allowed=True)
        self.execution = Execution(self.context, self.runner_for)
        if not self.orders.exists():
            self.tell()

    def having(self, **changes: Any) -> None:
        """Go on with another context, as another process has it."""
        self.context = replace(self.context, **changes)
        self.execution = Execution(self.context, self.runner_for)

    def runner_for(self, name: str) -> Runner:
        """The only runner there is."""
        assert name == "agent"
        return CommandRunner()

    def tell(self, *steps: list[Any]) -> None:
        """What the agent is to do in its next attempt."""
        self.orders.write_text(json.dumps(steps))

    def request(self, **fields: Any) -> dict[str, Any]:
        """A run of the sample schedule's slot."""
        values: dict[str, Any] = {
            "run_id": slot_run_id(self.id, SCHEDULE, SLOT),
            "workspace": self.id,
            "origin": Origin.SCHEDULE,
            "subject": SCHEDULE,
            "label": "Implementation cycle",
            "instructions": "Do the next open item of the plan.",
            "mode": "implementation-core",
            "slot": SLOT,
            "runner": "agent",
            "limit_seconds": 60,
        }
        request = RunRequest(**values | fields)
        if not request.run_id.startswith(self.id):
            request = replace(request, run_id=f"{self.id}:{request.run_id}")
        return to_dict(request)

    def rows(self) -> list[Row]:
        """The rows of runs in the time log."""
        rows = timing_log.read_log(self.context).rows
        return [row for row in rows if row.task_id.startswith("run-")]

    def schedule(self) -> dict[str, Any]:
        """The sample schedule as the file holds it."""
        path = self.root / ".roo" / "schedules.json"
        found = json.loads(path.read_text())["schedules"]
        return next(each for each in found if each["id"] == SCHEDULE)

    def memory(self) -> str:
        """The memory's text."""
        return (self.root / "persistent-memory.md").read_text()


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
