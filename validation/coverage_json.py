"""Reads the JSON report of coverage.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of a file, or of all, was executed: statements plus branches where measured."""

    name: str
    numerator: int
    denominator: int

    @property
    def percent(self) -> float | None:
        """From 0 to 100; None where there was nothing to execute."""
        return 100 * self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The total and each file, with whether branches were measured."""

    total: Covered
    files: tuple[Covered, ...]
    branches: bool


class BadCoverageError(ValueError):
    """The file is not a coverage report."""


def _covered(name: str, summary: dict[str, int]) -> Covered:
    numerator = summary["covered_lines"] + summary.get("covered_branches", 0)
    return Covered(name, numerator, summary["num_statements"] + summary.get("num_branches", 0))


def read(path: Path) -> Coverage:
    """The report as numerators and denominators; raises BadCoverageError, OSError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = (
            _covered(name.replace("\\", "/"), entry["summary"])
            for name, entry in data["files"].items()
        )
        total = _covered("total", data["totals"])
        return Coverage(total, tuple(files), bool(data["meta"].get("branch_coverage")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadCoverageError(f"It is not a report of coverage.py: {error}.") from error
