"""The explicit list of the 20 tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.suggest import did_you_mean
from sidecar.services.backups import backup_file, restore_file
from sidecar.services.delegation import delegate_task
from sidecar.services.environment import sync_environment
from sidecar.services.files import read_project_file, write_project_file
from sidecar.services.memory import get_persistent_memory, update_persistent_memory
from sidecar.services.mode_switch import switch_mode
from sidecar.services.modes import get_mode_capabilities
from sidecar.services.recovery import error_recovery
from sidecar.services.schedules import get_schedule_status, manage_schedules
from sidecar.services.search import list_project_structure, search_in_files
from sidecar.services.status import get_system_status
from sidecar.services.timing import get_time_tracking, track_task_time
from sidecar.services.todo import get_todo_status
from sidecar.services.tool import Tool
from sidecar.services.validation import run_validation

_IN_ORDER: tuple[Tool[Any, Any], ...] = (
    get_schedule_status,
    manage_schedules,
    track_task_time,
    get_time_tracking,
    get_persistent_memory,
    update_persistent_memory,
    get_todo_status,
    delegate_task,
    read_project_file,
    write_project_file,
    list_project_structure,
    search_in_files,
    backup_file,
    restore_file,
    get_system_status,
    switch_mode,
    run_validation,
    get_mode_capabilities,
    error_recovery,
    sync_environment,
)

TOOLS: dict[str, Tool[Any, Any]] = {each.name: each for each in _IN_ORDER}

# The original server called its tools so; prompts written for it still do.
_ALIAS_SUFFIX = "_tool"


def resolve(name: str, tools: Mapping[str, Tool[Any, Any]] = TOOLS) -> Tool[Any, Any]:
    """The tool of that name, with or without ``_tool``; raises SidecarError E_NOT_FOUND."""
    found = tools.get(name) or tools.get(name.removesuffix(_ALIAS_SUFFIX))
    if found is None:
        raise SidecarError(
            ErrorCode.NOT_FOUND,
            f"There is no tool `{name}`.",
            hint=did_you_mean(name, tools) or f"The tools are: {', '.join(tools)}.",
        )
    return found
