"""A small workspace of known content, and one call of each of the 20 tools that fits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FILES = {
    ".roomodes": """customModes:
  - slug: planning
    name: Planning
    roleDefinition: You plan the work.
    whenToUse: Use this mode to plan.
    groups: [read]
  - slug: implementation-core
    name: Core Implementation
    roleDefinition: You write the code.
    whenToUse: Use this mode to implement.
    groups: [read, edit, command]
""",
    ".roo/schedules.json": """{
  "schedules": [
    {
      "id": "1746094980012",
      "name": "loop",
      "mode": "planning",
      "taskInstructions": "Plan the next step.",
      "scheduleType": "time",
      "timeInterval": "10",
      "timeUnit": "minute",
      "selectedDays": {"sun": true, "mon": true, "tue": true, "wed": true,
                       "thu": true, "fri": true, "sat": true},
      "startDate": "2025-05-01",
      "startHour": "10",
      "startMinute": "00",
      "active": true,
      "taskInteraction": "wait",
      "inactivityDelay": "3",
      "createdAt": "2025-05-01T10:23:00.012Z",
      "updatedAt": "2025-05-01T10:23:00.012Z"
    }
  ]
}
""",
    "TODO.md": "# Plan\n\n- [ ] write the parser\n- [x] read the report\n",
    "persistent-memory.md": """# Implementation Patterns

# Development Commands

# System Updates
""",
    "src/hello.txt": "hello\n",
}

# In this order: what is restored was backed up before, what is read was written before.
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("get_schedule_status", {}),
    (
        "manage_schedules",
        {
            "action": "update",
            "schedule_id": "1746094980012",
            "update_fields": {"timeInterval": "20"},
        },
    ),
    ("track_task_time", {"task_description": "probe", "mode": "planning"}),
    ("get_time_tracking", {}),
    ("get_persistent_memory", {}),
    (
        "update_persistent_memory",
        {"section": "implementation_patterns", "content": "A probe was here."},
    ),
    ("get_todo_status", {"include_completed": True}),
    ("delegate_task", {"task_description": "probe the queue", "target_mode": "planning"}),
    ("read_project_file", {"file_path": "src/hello.txt"}),
    ("write_project_file", {"file_path": "src/new.txt", "content": "new\n"}),
    ("list_project_structure", {}),
    ("search_in_files", {"pattern": "hello"}),
    ("backup_file", {"file_path": "src/hello.txt"}),
    ("restore_file", {"file_path": "src/hello.txt"}),
    ("get_system_status", {}),
    ("switch_mode", {"target_mode": "implementation-core"}),
    ("run_validation", {"validation_type": "config"}),
    ("get_mode_capabilities", {"include_instructions": False}),
    ("error_recovery", {"operation": "probe", "error_context": {"error": "a probe's own"}}),
    ("sync_environment", {}),
)

# What must stand in a file after all the calls.
EFFECTS = {
    "manage_schedules": (".roo/schedules.json", '"timeInterval": "20"'),
    "track_task_time": ("task_timing.tsv", "probe"),
    "update_persistent_memory": ("persistent-memory.md", "A probe was here."),
    "write_project_file": ("src/new.txt", "new"),
    "restore_file": ("src/hello.txt", "hello"),
}


def make(folder: Path) -> Path:
    """Write the workspace into an empty folder."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return folder
