"""The mode file."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.domain.source import Source


@dataclass(frozen=True)
class ModesFile:
    """A parsed mode file."""

    source: Source
    path: str
    product: str = "roo"


def parse(text: str, *, path: str = ".roomodes", product: str = "roo") -> ModesFile:
    """The model of a mode file; never raises."""
    return ModesFile(Source(text), path, product)
