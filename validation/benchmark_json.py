"""Reads pytest-benchmark's JSON and compares it with a stored baseline, noise considered."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

ENOUGH_ROUNDS = 5
SMALLEST_CHANGE = 1.2
NOISE_BAND = 3.0


class Change(StrEnum):
    """How a benchmark stands to its baseline."""

    NEW = "no baseline"
    UNSURE = "not enough data"
    SAME = "within noise"
    FASTER = "faster"
    SLOWER = "slower"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The statistics of one benchmark, in seconds; the raw timings are not kept."""

    name: str
    median: float
    iqr: float
    mean: float
    stddev: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A benchmark beside its baseline; ``ratio`` is the new median over the old one."""

    benchmark: Benchmark
    baseline: Benchmark | None
    ratio: float | None
    change: Change


class BadBenchmarkError(ValueError):
    """The file is not a benchmark report."""


def read(path: Path) -> list[Benchmark]:
    """The statistics in pytest-benchmark's own report; raises BadBenchmarkError, OSError."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        fields = ("median", "iqr", "mean", "stddev", "rounds")
        return [
            Benchmark(entry["fullname"], **{f: entry["stats"][f] for f in fields})
            for entry in entries
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise BadBenchmarkError(f"It is not a report of pytest-benchmark: {error}.") from error


def load_baseline(path: Path) -> dict[str, Benchmark]:
    """A stored baseline by name; empty where none was stored or it cannot be read."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        return {entry["name"]: Benchmark(**entry) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def store_baseline(path: Path, benchmarks: list[Benchmark]) -> None:
    """Write the statistics that later runs are compared with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"benchmarks": [asdict(benchmark) for benchmark in benchmarks]}
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")


def compare(benchmark: Benchmark, baseline: Benchmark | None) -> Comparison:
    """A change counts when it passes both 20 % and three times the wider quartile range."""
    if baseline is None or baseline.median <= 0:
        return Comparison(benchmark, None, None, Change.NEW)
    ratio = benchmark.median / baseline.median
    if min(benchmark.rounds, baseline.rounds) < ENOUGH_ROUNDS:
        return Comparison(benchmark, baseline, ratio, Change.UNSURE)
    clear = abs(benchmark.median - baseline.median) > NOISE_BAND * max(benchmark.iqr, baseline.iqr)
    if clear and ratio >= SMALLEST_CHANGE:
        return Comparison(benchmark, baseline, ratio, Change.SLOWER)
    if clear and ratio <= 1 / SMALLEST_CHANGE:
        return Comparison(benchmark, baseline, ratio, Change.FASTER)
    return Comparison(benchmark, baseline, ratio, Change.SAME)
