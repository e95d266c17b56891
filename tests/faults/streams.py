"""Streams of changes through every tool that writes, and what must be true after a kill.

Each stream names its arguments by number, so that whoever looks afterwards can tell what was
acknowledged, what was only tried, and whether a file is half of one and half of another.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sidecar.domain import memory, timing
from sidecar.domain.errors import SidecarError
from sidecar.services import failures, registry
from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.backups import Backup
from sidecar.workspace.workspace import Workspace

Arguments = dict[str, Any]
Answer = dict[str, Any]
SECTIONS = ("implementation_patterns", "development_commands", "system_updates")
MODES = ("implementation-core", "validation-unit", "planning-analysis")


@dataclass(frozen=True)
class State:
    """A workspace as the next process finds it."""

    root: Path
    context: Context

    @classmethod
    def of(cls, root: Path) -> State:
        """The state of a workspace now; the user's folders lie beside it."""
        workspace = Workspace.open(root, user_dir=root.parent / "home")
        return cls(root, Context(workspace, Settings(timezone="UTC")))

    def text(self, path: str) -> str:
        """A file's text, empty where there is none."""
        file = self.root / path
        return file.read_text("utf-8") if file.exists() else ""

    def ask(self, tool: str, arguments: Arguments) -> Answer:
        """A tool's structured answer."""
        return called(registry.TOOLS[tool], self.context, arguments).structured()


Present = Callable[[State, int, Answer], bool]


@dataclass(frozen=True)
class Stream:
    """Calls of one tool; ``present`` tells whether one acknowledged call can still be seen."""

    tool: str
    arguments: Callable[[int], Arguments]
    present: Present
    last_only: bool = False


def _timing(number: int) -> Arguments:
    task = f"kill-{number // 2}"
    start = number % 2 == 0
    return {"task_description": "kill", "task_id": task, "start_tracking": start}


def _timed(state: State, number: int, _: Answer) -> bool:
    file = timing.parse(state.text("task_timing.tsv"))
    rows = [row for row in file.rows if row.task_id == f"kill-{number // 2}"]
    stopped = number % 2 == 1
    return len(rows) == 1 and len(rows[0].raw) == 9 and (not stopped or not rows[0].is_open)


def _started(number: int) -> Arguments:
    return {"task_description": f"plain {number};"}


def _row_present(state: State, number: int, _: Answer) -> bool:
    rows = timing.parse(state.text("task_timing.tsv")).rows
    found = [row for row in rows if row.values["task"] == f"plain {number};"]
    return len(found) == 1 and len(found[0].raw) == 9


def _remembered(state: State, number: int, _: Answer) -> bool:
    mark = f"<!-- sidecar:kill-{number} -->"
    archive = state.root / "persistent-memory.archive"
    texts = [state.text("persistent-memory.md"), *(p.read_text() for p in archive.glob("*.md"))]
    return any(f"entry {number};" in text and mark in text for text in texts)


def _scheduled(state: State, number: int, _: Answer) -> bool:
    document = json.loads(state.text(".roo/schedules.json"))
    return sum(each["name"] == f"kill {number}" for each in document["schedules"]) == 1


def _schedule(number: int) -> Arguments:
    data = {
        "name": f"kill {number}",
        "mode": MODES[0],
        "task_instructions": "x" * 200,
        "time_interval": 5,
        "time_unit": "minute",
        "start_date": "2025-05-01",
    }
    return {"action": "create", "schedule_data": data}


def _body(number: int) -> str:
    return f"{number}\n" * (1 + number * 37 % 3000)


def _replaced(state: State, number: int, _: Answer) -> bool:
    text = state.text("state.txt")
    found = int(text.partition("\n")[0] or -1)
    return found >= number and text == _body(found)


def _restored(state: State, number: int, _: Answer) -> bool:
    allowed = {f"version {version % 3}\n" * 2000 for version in (number, number + 1)}
    return state.text("restored.txt") in allowed


def _queued(state: State, _: int, answer: Answer) -> bool:
    arguments = {"action": "status", "task_id": answer["task_id"]}
    return bool(state.ask("delegate_task", arguments)["success"])


def _backed_up(state: State, _: int, answer: Answer) -> bool:
    backups = state.context.workspace.backups
    backup = backups.find("TODO.md", answer["backup_id"])
    return sha256(backups.read(backup)).hexdigest() == answer["sha256"]


def _counted(state: State, number: int, _: Answer) -> bool:
    return failures.of(state.context, f"kill-{number}").count == 1


def _switched(state: State, number: int, answer: Answer) -> bool:
    with state.context.workspace.store.transaction() as records:
        known = [value for _, value in records.items("session_modes")]
    wanted = {answer["current_mode"], MODES[(number + 1) % len(MODES)]}
    return len(known) == 1 and bool(wanted & set(map(str, known[0].values())))


def _whole(_: State, __: int, ___: Answer) -> bool:
    return True  # what it leaves is judged by `broken` alone


STREAMS: dict[str, Stream] = {
    "manage_schedules": Stream("manage_schedules", _schedule, _scheduled),
    "track_task_time": Stream("track_task_time", _timing, _timed),
    "track_task_time, plain": Stream("track_task_time", _started, _row_present),
    "update_persistent_memory": Stream(
        "update_persistent_memory",
        lambda n: {
            "section": SECTIONS[n % 3],
            "content": f"entry {n};\n" + "more\n" * (n % 9),
            "entry_id": f"kill-{n}",
        },
        _remembered,
    ),
    "write_project_file": Stream(
        "write_project_file",
        lambda n: {"file_path": "state.txt", "content": _body(n)},
        _replaced,
        last_only=True,
    ),
    "write_project_file, append": Stream(
        "write_project_file",
        lambda n: {
            "file_path": "new/log.txt",
            "content": f"line {n};\n",
            "append": True,
            "create_backup": False,
        },
        lambda state, n, _: state.text("new/log.txt").split("\n").count(f"line {n};") == 1,
    ),
    "delegate_task": Stream(
        "delegate_task",
        lambda n: {"task_description": f"kill {n}", "target_mode": MODES[0]},
        _queued,
    ),
    "backup_file": Stream("backup_file", lambda _: {"file_path": "TODO.md"}, _backed_up),
    "restore_file": Stream(
        "restore_file",
        lambda n: {"file_path": "restored.txt", "backup_path": f"restored.txt/v{n % 3}"},
        _restored,
        last_only=True,
    ),
    "switch_mode": Stream(
        "switch_mode", lambda n: {"target_mode": MODES[n % len(MODES)]}, _switched, last_only=True
    ),
    "error_recovery": Stream(
        "error_recovery",
        lambda n: {"operation": f"kill-{n}", "error_context": {"type": "failed"}},
        _counted,
    ),
    "sync_environment": Stream("sync_environment", lambda _: {"sync_type": "full"}, _whole),
    "run_validation": Stream(
        "run_validation", lambda _: {"validation_type": "orchestrator_files"}, _whole
    ),
}


def prepare(root: Path, stream: Stream) -> None:
    """Make what a stream needs in its workspace."""
    if stream.tool != "restore_file":
        return
    state = State.of(root)
    for version in range(3):
        (root / "restored.txt").write_text(f"version {version}\n" * 2000)
        arguments = {"backup_name": f"v{version}", "include_timestamp": False}
        state.ask("backup_file", {"file_path": "restored.txt", **arguments})
    state.context.workspace.close()


def broken(state: State, rows_before: int) -> list[str]:
    """What is torn: files that are not whole, records that cannot be read."""
    found = []
    try:
        json.loads(state.text(".roo/schedules.json"))
    except ValueError as error:
        found.append(f"schedules: {error}")
    rows = state.text("task_timing.tsv")
    if (
        not rows.endswith("\n")
        or sum(bool(r.problem) for r in timing.parse(rows).rows) > rows_before
    ):
        found.append("time log")
    kept = memory.parse(state.text("persistent-memory.md"))
    if [section.title for section in kept.sections] != list(memory.SECTIONS.values()):
        found.append("memory")
    with state.context.workspace.store.view() as records:
        backups = [Backup(**value) for _, value in records.items("backups")]
    for backup in backups:
        try:
            state.context.workspace.backups.read(backup)
        except SidecarError as error:
            found.append(f"backup {backup.id}: {error}")
    return found
