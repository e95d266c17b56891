"""The workspace's files as one project, for rules and tools that look across them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sidecar.domain import modes
from sidecar.domain.errors import SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.project import File, Project, parse_file
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

# Ten times the largest file of 166 examined; a larger one would hold an editor up for a minute.
MAX_STATE_FILE_BYTES = 4_000_000
_LOCAL_TIME = Path("/etc/localtime")


def zone(name: str) -> ZoneInfo:
    """The time zone of a setting; the machine's own for an empty or unknown name."""
    for candidate in (name, os.environ.get("TZ", ""), _machine_zone(), "UTC"):
        if candidate:
            try:
                return ZoneInfo(candidate.removeprefix(":"))
            except (ZoneInfoNotFoundError, ValueError, OSError):
                continue
    return ZoneInfo("UTC")


def _machine_zone() -> str:
    """The IANA name behind /etc/localtime, empty where there is none."""
    try:
        return _zone_behind(_LOCAL_TIME.readlink())
    except OSError:
        return ""


@lru_cache(maxsize=8)
def _zone_behind(target: Path) -> str:  # noqa: ARG001 - what tells one link from another
    return os.path.realpath(_LOCAL_TIME).partition("zoneinfo/")[2]


def read_text(workspace: Workspace, path: str) -> str | None:
    """The text of a file as the user sees it, None where it is missing or cannot be read."""
    try:
        content = workspace.files.read(path, limit=MAX_STATE_FILE_BYTES, prefer_editor=True)
    except SidecarError:
        return None
    return content.data.decode("utf-8", "replace")


def load_file(workspace: Workspace, kind: Kind, product: str) -> File | None:
    """The model of the workspace's file of one kind, None where it cannot be read."""
    path = workspace.path(kind, product)
    text = read_text(workspace, path)
    return None if text is None else parse_file(kind, text, path=path, product=product)


def load_project(
    workspace: Workspace, settings: Settings, now: datetime, kinds: Iterable[Kind] = Kind
) -> Project:
    """All models of the workspace at one instant, or those of some kinds."""
    loaded = (load_file(workspace, kind, settings.product) for kind in kinds)
    project = Project(
        now=now,
        tz=zone(settings.timezone),
        product=settings.product,
        memory_line_limit=settings.memory_line_limit,
        todo_limit_seconds=settings.todo_limit_seconds,
        schedule_limit_seconds=settings.schedule_limit_seconds,
        global_modes=_global_modes(settings),
    )
    return project.having(*(file for file in loaded if file is not None))


def _global_modes(settings: Settings) -> frozenset[str] | None:
    """The slugs of the user's global mode file, None where the settings name none."""
    if not settings.global_modes_file:
        return None
    path = Path(settings.global_modes_file).expanduser()
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return frozenset()
    result = modes.load(text, filename=path.name, product=settings.product)
    return frozenset(mode.slug for mode in result.modes)
