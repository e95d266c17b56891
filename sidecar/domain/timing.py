"""The time log."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.domain.source import Source


@dataclass(frozen=True)
class TimingFile:
    """A parsed time log."""

    source: Source
    path: str


def parse(text: str, *, path: str = "") -> TimingFile:
    """The model of a time log; never raises."""
    return TimingFile(Source(text), path)
