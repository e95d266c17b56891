"""One check and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended; expected failures count as skipped, crashes and time-outs as errors."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``line`` counts from 1, ``seconds`` is wall time.

    ``quote`` is the line before and the line itself as they were; empty where nobody knows.
    """

    id: str
    status: Status
    category: str = ""
    message: str = ""
    file: str = ""
    line: int | None = None
    seconds: float = 0.0
    hint: str = ""
    markers: tuple[str, ...] = ()
    quote: str = ""

    @property
    def evidence(self) -> str:
        """Where to look: ``file:line``, ``file``, or nothing."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file

    @property
    def bad(self) -> bool:
        """Whether the check counts against the rate."""
        return self.status in (Status.FAILED, Status.ERROR)
