"""The plan."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.domain.source import Source


@dataclass(frozen=True)
class TodoFile:
    """A parsed plan."""

    source: Source
    path: str


def parse(text: str, *, path: str = "") -> TodoFile:
    """The model of a plan; never raises."""
    return TodoFile(Source(text), path)
