"""A process that changes a file when told to, while strace makes one of its system calls fail.

It reads one order a line: ``reset`` brings the old state back, ``go`` makes the change. Each is
answered by a JSON line, sent again where the very answer is refused.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.services import registry
from sidecar.services.calling import called
from tests.faults.streams import State

OLD, NEW = "old and whole\n" * 300, "new and whole\n" * 400
SCHEDULE = "1745000000001"


@dataclass(frozen=True)
class Change:
    """A call, the file that it changes, and what tells the new content from the old."""

    tool: str
    path: str
    arguments: Callable[[str], dict[str, Any]]
    mark: Callable[[str], str]


CHANGES: dict[str, Change] = {
    "replace": Change(
        "write_project_file",
        "state.txt",
        lambda key: {"file_path": "state.txt", "content": f"{NEW}{key}\n"},
        lambda key: f"{NEW}{key}\n",
    ),
    "create": Change(
        "write_project_file",
        "made/{key}/new.txt",
        lambda key: {"file_path": f"made/{key}/new.txt", "content": f"{NEW}{key}\n"},
        lambda key: f"{NEW}{key}\n",
    ),
    "append": Change(
        "write_project_file",
        "log.txt",
        lambda key: {
            "file_path": "log.txt",
            "content": f"line {key}\n",
            "append": True,
            "create_backup": False,
        },
        lambda key: f"line {key}\n",
    ),
    "time log": Change(
        "track_task_time",
        "task_timing.tsv",
        lambda key: {"task_description": f"task {key};"},
        lambda key: f"\ttask {key};\tstarted\t",
    ),
    "memory": Change(
        "update_persistent_memory",
        "persistent-memory.md",
        lambda key: {"section": "system_updates", "content": f"entry {key};", "entry_id": key},
        lambda key: f"<!-- sidecar:{key} -->",
    ),
    "schedules": Change(
        "manage_schedules",
        ".roo/schedules.json",
        lambda key: {
            "action": "update",
            "schedule_id": SCHEDULE,
            "update_fields": {"name": f"name {key}"},
        },
        lambda key: f'"name {key}"',
    ),
}


def changed(state: State, order: dict[str, str]) -> dict[str, Any]:
    """Make the change; what it was answered."""
    change = CHANGES[order["change"]]
    tool = registry.TOOLS[change.tool]
    try:
        called(tool, state.context, change.arguments(order["key"]))
    except SidecarError as error:
        return {"code": error.code.value, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - told to the test, which fails because of it
        return {"code": "UNEXPECTED", "message": f"{type(error).__name__}: {error}"}
    return {"code": "", "message": ""}


def tell(answer: dict[str, Any]) -> None:
    """Answer, whatever is refused."""
    line = (json.dumps(answer) + "\n").encode()
    while line:
        with suppress(OSError):
            line = line[os.write(1, line) :]


def main() -> None:
    """Serve orders until the input ends."""
    state = State.of(Path(sys.argv[1]))
    # What is loaded late, loaded now: only the steps of the write itself are to fail.
    for name in CHANGES:
        tell({"code": "", "warm": changed(state, {"change": name, "key": "warm"})["message"]})
    for line in sys.stdin:
        tell(changed(state, json.loads(line)))


if __name__ == "__main__":
    main()
