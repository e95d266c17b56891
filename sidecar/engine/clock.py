"""The present instant, and how much real time a stretch of it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


def _real() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """The engine's clock; a ``rate`` other than 1 makes time pass faster, for tests.

    Processes that are to agree on the time need the same ``origin``.
    """

    rate: float = 1.0
    origin: datetime = field(default_factory=_real)

    def now(self) -> datetime:
        """The present instant, in UTC."""
        real = _real()
        return real if self.rate == 1.0 else self.origin + (real - self.origin) * self.rate

    def real_seconds(self, span: timedelta) -> float:
        """How long a stretch of this clock really takes, in seconds; never negative."""
        return max(0.0, span.total_seconds() / self.rate)
