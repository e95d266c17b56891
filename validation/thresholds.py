"""What a run must reach to pass: ``[tool.sidecar.validation] thresholds``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

SMALLEST_RATIO = 1.05
_PERCENTAGES = ("coverage", "changed_coverage")


class ThresholdError(ValueError):
    """A threshold cannot be used; the text says which and why."""


@dataclass(frozen=True)
class Thresholds:
    """The least accepted rates from 0 to 1 by category, percentages, and the highest ratio.

    ``coverage`` and ``changed_coverage`` are percentages of what can be executed, None where none
    is demanded. A benchmark that takes over ``benchmark_ratio`` times as long as its baseline,
    noise considered, is slower.
    """

    rate: float = 1.0
    categories: Mapping[str, float] = field(default_factory=dict)
    coverage: float | None = None
    changed_coverage: float | None = None
    benchmark_ratio: float = 1.2

    def of(self, category: str) -> float:
        """The least accepted rate of a category."""
        return self.categories.get(category, self.rate)


def read(table: Mapping[str, Any], categories: Collection[str]) -> Thresholds:
    """The table as thresholds; raises ThresholdError for what could never have an effect."""
    for name, value in table.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ThresholdError(f"The threshold `{name}` must be a number, not {value!r}.")
        _check(name, value, categories)
    own = {"rate", "benchmark_ratio", *_PERCENTAGES}
    named = {name: float(value) for name, value in table.items() if name in own}
    rates = {name: float(value) for name, value in table.items() if name not in own}
    return Thresholds(categories=rates, **named)


def _check(name: str, value: float, categories: Collection[str]) -> None:
    if name in _PERCENTAGES:
        if not 0 <= value <= 100:
            raise ThresholdError(f"The threshold `{name}` is a percentage, 0 to 100, not {value}.")
    elif name == "benchmark_ratio":
        if value < SMALLEST_RATIO:
            raise ThresholdError(f"The threshold `{name}` must be {SMALLEST_RATIO} or more.")
    elif name != "rate" and name not in categories:
        known = ", ".join(sorted({"rate", "benchmark_ratio", *_PERCENTAGES, *categories}))
        raise ThresholdError(f"The threshold `{name}` is for no category; there are {known}.")
    elif not 0 <= value <= 1:
        raise ThresholdError(f"The threshold `{name}` is a rate, 0 to 1, not {value}.")
