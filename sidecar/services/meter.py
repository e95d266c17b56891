"""How often each tool was called in this process, how long it took, how often it failed."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

KEPT = 1_000


@dataclass(frozen=True)
class Figures:
    """One tool's calls; the percentiles, in seconds, are of the last 1,000."""

    calls: int
    failures: int
    p50: float
    p95: float


@dataclass
class Meter:
    """The calls of one process, since it started."""

    started: float = field(default_factory=time.monotonic)
    # When a call by somebody who works in no run ended last, in seconds since 1970.
    last_call: float | None = None
    _durations: dict[str, deque[float]] = field(default_factory=dict)
    _counts: dict[str, list[int]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def measured(self, tool: str, *, by_run: bool = False) -> Iterator[None]:
        """Measure one call; it failed if it raises. Runs are known otherwise to be at work."""
        began, failed = time.perf_counter(), 1
        try:
            yield
            failed = 0
        finally:
            took = time.perf_counter() - began
            if not by_run:
                self.last_call = time.time()
            with self._guard:
                self._durations.setdefault(tool, deque(maxlen=KEPT)).append(took)
                count = self._counts.setdefault(tool, [0, 0])
                count[0] += 1
                count[1] += failed

    def uptime(self) -> float:
        """Seconds since the process started to serve."""
        return time.monotonic() - self.started

    def figures(self) -> dict[str, Figures]:
        """The figures of every tool called so far."""
        with self._guard:
            sample = {tool: sorted(took) for tool, took in self._durations.items()}
            counts = {tool: (count[0], count[1]) for tool, count in self._counts.items()}
        return {
            tool: Figures(*counts[tool], _percentile(took, 0.5), _percentile(took, 0.95))
            for tool, took in sample.items()
        }


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
