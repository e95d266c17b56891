"""A workspace's settings file as the sidecar takes it: which of its values are not, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.domain.source import Source, Span


class Cause(StrEnum):
    """Why a value is not taken."""

    UNREADABLE = "unreadable"
    SYNTAX = "syntax"
    UNKNOWN = "unknown"
    SCOPE = "scope"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Untaken:
    """A value that is not taken: where it stands, and the name that was meant, if one is near."""

    cause: Cause
    message: str
    span: Span
    meant: str = ""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A `sidecar.toml`, or a `pyproject.toml` for what it says in `[tool.sidecar]`."""

    path: str
    source: Source
    untaken: tuple[Untaken, ...] = ()
