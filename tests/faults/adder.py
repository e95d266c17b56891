"""A process that makes its share of changes through the real tools, and tells of each conflict."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from tests.faults.streams import State

SECTIONS = ("implementation_patterns", "development_commands", "system_updates")
PATIENCE = 120.0


def schedule(key: str) -> dict[str, Any]:
    """A schedule of its own."""
    data = {
        "name": f"{key};",
        "mode": "implementation-core",
        "task_instructions": "work",
        "time_interval": 5,
        "time_unit": "minute",
        "start_date": "2025-05-01",
    }
    return {"action": "create", "schedule_data": data}


def deleted_by(number: int) -> int | None:
    """Which earlier schedule a late update deletes, so that the file does not grow for ever."""
    return number - 11 if number % 2 and number >= 11 else None


def change_schedules(state: State, key: str, number: int, ids: dict[int, str]) -> None:
    """Create a schedule, or delete one of this process's own; one that was lost is not found."""
    old = deleted_by(number)
    if old is None:
        ids[number] = state.ask("manage_schedules", schedule(key))["schedule_id"]
    else:
        state.ask("manage_schedules", {"action": "delete", "schedule_id": ids[old]})


def change(state: State, noun: str, key: str, number: int, ids: dict[int, str]) -> None:
    """One update of one kind of file."""
    if noun == "schedules":
        change_schedules(state, key, number, ids)
    elif noun == "timing":
        state.ask("track_task_time", {"task_description": f"{key};", "task_id": key})
    elif noun == "memory":
        section = SECTIONS[number % len(SECTIONS)]
        entry = {"section": section, "content": f"{key};", "entry_id": key}
        state.ask("update_persistent_memory", entry)
    else:
        add_line(state, key)


def add_line(state: State, key: str) -> None:
    """Read a page and write it with one line more, as agents do, upon what was read only."""
    page = state.ask("read_project_file", {"file_path": "page.txt"})
    text = (state.root / "page.txt").read_text("utf-8")
    arguments = {"file_path": "page.txt", "content": f"{text}{key};\n", "if_match": page["etag"]}
    state.ask("write_project_file", arguments)


def once(state: State, noun: str, name: str, count: int) -> dict[str, list[int]]:
    """Try each addition once; which were acknowledged, and which refused because of others."""
    told: dict[str, list[int]] = {"acknowledged": [], "E_CONFLICT": [], "E_BUSY": []}
    for number in range(count):
        try:
            if noun == "schedules":
                state.ask("manage_schedules", schedule(f"{name}-{number}"))
            else:
                change(state, noun, f"{name}-{number}", number, {})
            told["acknowledged"].append(number)
        except SidecarError as error:
            told[error.code.value].append(number)
    return told


def main() -> None:
    """Make the changes; print how many conflicts and waits were told on the way."""
    root, noun, name, count, *how = sys.argv[1:]
    state = State.of(Path(root))
    told = {"E_CONFLICT": 0, "E_BUSY": 0}
    ids: dict[int, str] = {}
    print("ready", flush=True)
    sys.stdin.readline()
    if how == ["once"]:
        print(json.dumps(once(state, noun, name, int(count))), flush=True)
        return
    for number in range(int(count)):
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                change(state, noun, f"{name}-{number}", number, ids)
                break
            except SidecarError as error:
                retried = error.code in {ErrorCode.CONFLICT, ErrorCode.BUSY}
                if not retried or time.monotonic() > ends:
                    raise
                told[error.code.value] += 1
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
