"""The schedules file."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.domain.source import Source


@dataclass(frozen=True)
class SchedulesFile:
    """A parsed schedules file."""

    source: Source
    path: str


def parse(text: str, *, path: str = "") -> SchedulesFile:
    """The model of a schedules file; never raises."""
    return SchedulesFile(Source(text), path)
