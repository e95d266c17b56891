"""Reads what pytest-benchmark measured: its statistics and its raw rounds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENOUGH_ROUNDS = 5
FASTEST_SHARE = 0.1
FASTEST_KEPT = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """One benchmark in one process, times in seconds.

    ``fastest`` is the fastest tenth of its rounds, at least three and at most 200, ascending.
    ``speed`` is how long a fixed piece of work took beside it at best; None where that was not
    measured.
    """

    name: str
    median: float
    iqr: float
    mean: float
    stddev: float
    rounds: int
    fastest: tuple[float, ...]
    speed: float | None = None

    @property
    def floor(self) -> float:
        """The second fastest round: whatever disturbs a measurement makes it longer."""
        return self.fastest[min(1, len(self.fastest) - 1)]

    @property
    def enough(self) -> bool:
        """Whether there are rounds enough to say anything."""
        return self.rounds >= ENOUGH_ROUNDS and self.floor > 0


class BadBenchmarkError(ValueError):
    """The file is not a benchmark report."""


def read(path: Path) -> list[Sample]:
    """The samples in pytest-benchmark's own report; raises BadBenchmarkError, OSError."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        return [_sample(entry["fullname"], entry["stats"]) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise BadBenchmarkError(f"It is not a report of pytest-benchmark: {error}.") from error


def _sample(name: str, stats: dict[str, Any]) -> Sample:
    times = sorted(map(float, stats["data"]))
    count = min(FASTEST_KEPT, max(3, round(FASTEST_SHARE * len(times))))
    return Sample(
        name=name,
        median=stats["median"],
        iqr=stats["iqr"],
        mean=stats["mean"],
        stddev=stats["stddev"],
        rounds=stats["rounds"],
        fastest=tuple(times[:count]),
    )
