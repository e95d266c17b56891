"""Reads the JSON report of coverage.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of a file, or of all, was executed: statements plus branches where measured.

    ``executed`` and ``missing`` are the lines of statements, counted from 1.
    """

    name: str
    numerator: int
    denominator: int
    executed: frozenset[int] = frozenset()
    missing: frozenset[int] = frozenset()

    @property
    def percent(self) -> float | None:
        """From 0 to 100; None where there was nothing to execute."""
        return 100 * self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True)
class Changed:
    """The statements on lines that differ from ``base``; ``problem`` says why nobody knows."""

    base: str
    total: Covered
    files: tuple[Covered, ...] = ()
    problem: str = ""

    @property
    def nothing(self) -> bool:
        """Whether it is known that no statement was changed."""
        return not self.problem and not self.total.denominator


@dataclass(frozen=True, slots=True)
class Coverage:
    """The total and each file, with whether branches were measured."""

    total: Covered
    files: tuple[Covered, ...]
    branches: bool
    changed: Changed | None = None


class BadCoverageError(ValueError):
    """The file is not a coverage report."""


def _covered(name: str, summary: dict[str, int], entry: dict[str, Any] | None = None) -> Covered:
    entry = entry or {}
    return Covered(
        name=name,
        numerator=summary["covered_lines"] + summary.get("covered_branches", 0),
        denominator=summary["num_statements"] + summary.get("num_branches", 0),
        executed=frozenset(entry.get("executed_lines", ())),
        missing=frozenset(entry.get("missing_lines", ())),
    )


def read(path: Path) -> Coverage:
    """The report as numerators and denominators; raises BadCoverageError, OSError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        files = (
            _covered(name.replace("\\", "/"), entry["summary"], entry)
            for name, entry in data["files"].items()
        )
        total = _covered("total", data["totals"])
        return Coverage(total, tuple(files), bool(data["meta"].get("branch_coverage")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadCoverageError(f"It is not a report of coverage.py: {error}.") from error
