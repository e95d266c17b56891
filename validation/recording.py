"""Joins a run with what earlier runs found, and keeps it for later ones."""

from __future__ import annotations

from dataclasses import replace

from validation import flakiness
from validation.checks import Status
from validation.history import History, Record, digest
from validation.report import Counts, Report


def remembered(report: Report, history: History, code: str) -> Report:
    """The report with its flaky tests and its trend; it is kept unless it was cancelled."""
    earlier = history.read()
    now = _record(report, code)
    records = earlier if report.cancelled else [*earlier, now]
    if not report.cancelled:
        try:
            history.append(now)
        except OSError as error:
            problem = f"The run was not kept in the history: {error}."
            report = replace(report, notes=(*report.notes, problem))
    return replace(report, flaky=flakiness.find(records), trend=tuple(records))


def _record(report: Report, code: str) -> Record:
    coverage = report.coverage
    return Record(
        id=report.id,
        started=report.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        seconds=round(report.seconds, 3),
        verdict=report.verdict,
        code=code,
        counts=_counts(report.counts),
        categories={c.name: _counts(c.counts) for c in report.categories},
        coverage=(coverage.total.numerator, coverage.total.denominator) if coverage else None,
        benchmarks={item.benchmark.name: item.benchmark.median for item in report.benchmarks},
        slowest={check.id: round(check.seconds, 4) for check in report.slowest},
        bad=tuple(check.id for check in report.bad),
        retried=tuple(name for stage in report.stages for name in stage.retried),
        passed=frozenset(digest(c.id) for c in report.checks if c.status is Status.PASSED),
    )


def _counts(counts: Counts) -> tuple[int, int, int, int]:
    return counts.passed, counts.failed, counts.errors, counts.skipped
