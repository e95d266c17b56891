"""The memory file."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.domain.source import Source


@dataclass(frozen=True)
class MemoryFile:
    """A parsed memory file."""

    source: Source
    path: str


def parse(text: str, *, path: str = "") -> MemoryFile:
    """The model of a memory file; never raises."""
    return MemoryFile(Source(text), path)
