"""Tells a slower program from a busy machine.

A shared machine makes the same program take up to twice as long for seconds at a time, and no
statistic of one run sees that: its rounds agree with each other. So the fastest rounds of several
processes are compared, because disturbance only ever adds time, and a run counts as calm when a
fixed piece of work beside it was about as fast as it has ever been. Slower is what every run says,
three calm ones among them, of which the two best agree, by more than calm runs of the same program
differ. One fast run acquits. Where calm runs do not come or agree, there is "not enough data".
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from validation.benchmark_json import Sample

CALM = 1.15
AGREEMENT = 1.05
CALM_RUNS = 3
BASELINE_RUNS = 5
SIGNIFICANCE = 0.001


class Change(StrEnum):
    """How a benchmark stands to its baseline."""

    NEW = "no baseline"
    UNSURE = "not enough data"
    SAME = "within noise"
    FASTER = "faster"
    SLOWER = "slower"


@dataclass(frozen=True)
class Comparison:
    """A benchmark beside its baseline.

    ``ratio`` is the fastest rounds now over those of the baseline, ``runs`` how many processes
    measured it, ``chance`` the one-sided p-value of Mann and Whitney on the fastest tenths.
    """

    benchmark: Sample
    baseline: Sample | None
    ratio: float | None
    change: Change
    runs: int = 1
    chance: float | None = None


def best(samples: Iterable[Sample]) -> Sample:
    """The least disturbed of some samples."""
    return min(samples, key=lambda sample: sample.floor)


def calm(samples: Sequence[Sample], reference: Iterable[Sample] = ()) -> list[Sample]:
    """The samples beside which the machine was as fast as it is known to be."""
    speeds = [s.speed for s in (*samples, *reference) if s.speed is not None]
    if not speeds:
        return list(samples)
    return [s for s in samples if s.speed is not None and s.speed <= CALM * min(speeds)]


def settled(samples: Sequence[Sample]) -> bool:
    """Whether a baseline is good: five runs, and the two best calm ones agree within 5 %."""
    return len(samples) >= BASELINE_RUNS and _agree(calm(samples))


def _agree(quiet: Sequence[Sample]) -> bool:
    floors = sorted(sample.floor for sample in quiet)
    return len(floors) > 1 and floors[1] <= AGREEMENT * floors[0]


def _noise(quiet: Sequence[Sample]) -> float:
    """By what factor a usual calm run is slower than the best one."""
    floors = [sample.floor for sample in quiet]
    return statistics.median(floors) / min(floors) if floors else 1.0


def compare(samples: Sequence[Sample], baseline: Sequence[Sample], limit: float) -> Comparison:
    """The verdict on one benchmark; UNSURE is final when nothing is measured again."""
    now = best(samples)
    if not baseline:
        return Comparison(now, None, None, Change.NEW, len(samples))
    old = best(baseline)
    if not all(sample.enough for sample in (now, old)):
        return Comparison(now, old, None, Change.UNSURE, len(samples))
    ratio = now.floor / old.floor
    quiet = calm(samples, baseline)
    quiet_before = calm(baseline)
    least = max(limit, _noise(quiet), _noise(quiet_before))
    chance = mann_whitney(
        [time for sample in quiet for time in sample.fastest],
        [time for sample in quiet_before for time in sample.fastest],
    )
    sure = len(quiet) >= CALM_RUNS and _agree(quiet)
    change = Change.SAME
    if ratio >= limit:
        slower = sure and ratio >= least and chance < SIGNIFICANCE
        change = Change.SLOWER if slower else Change.UNSURE
    elif ratio <= 1 / limit and all(s.floor <= old.floor / limit for s in quiet):
        change = Change.FASTER if sure and ratio <= 1 / least else Change.UNSURE
    return Comparison(now, old, ratio, change, len(samples), chance)


def mann_whitney(new: Sequence[float], old: Sequence[float]) -> float:
    """The chance of ranks like these if ``new`` were no longer than ``old``; 1 without data."""
    count = len(new) + len(old)
    if not new or not old:
        return 1.0
    ranks, ties = _ranks([*new, *old])
    above = sum(ranks[: len(new)]) - len(new) * (len(new) + 1) / 2
    expected = len(new) * len(old) / 2
    spread = len(new) * len(old) / 12 * (count + 1 - ties / (count * (count - 1)))
    if spread <= 0:
        return 1.0
    return 0.5 * math.erfc((above - expected - 0.5) / math.sqrt(2 * spread))


def _ranks(values: Sequence[float]) -> tuple[list[float], int]:
    """Each value's rank from 1, shared among equal ones, and the sum of t³ - t over ties."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, ties, start = [0.0] * len(values), 0, 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        ties += (end - start) ** 3 - (end - start)
        start = end
    return ranks, ties
