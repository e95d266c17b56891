"""The report: categories with numerators and denominators, and a verdict by thresholds."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from validation.benchmark_gate import Change, Comparison
from validation.benchmark_json import Sample
from validation.checks import Check, Status
from validation.coverage_json import Coverage
from validation.findings import Finding
from validation.flakiness import Flaky
from validation.history import Record
from validation.plan import Plan, Stage

SLOWEST = 10
Z_95 = 1.959963984540054


class Verdict(StrEnum):
    """How a category, or the whole run, is to be read; only ``passed`` is a pass."""

    PASSED = "passed"
    FAILED = "failed"
    NO_TESTS = "no tests"
    ALL_SKIPPED = "all skipped"
    NOT_RUN = "not run"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its unit and what it means; ``limit`` None means shown only."""

    name: str
    value: float
    unit: str
    definition: str = ""
    limit: float | None = None


@dataclass(frozen=True)
class StageResult:
    """What one stage gave; ``not_run`` is the reason why it gave nothing."""

    stage: Stage
    checks: tuple[Check, ...] = ()
    not_run: str = ""
    seconds: float = 0.0
    unreached: int = 0
    coverage: Coverage | None = None
    coverage_missing: str = ""
    benchmarks: tuple[Comparison, ...] = ()
    samples: tuple[Sample, ...] = ()
    figures: tuple[Figure, ...] = ()
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    artefacts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of checks; the rate leaves skipped ones out of the denominator."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, checks: Iterable[Check]) -> Counts:
        """Count checks by status."""
        tally = dict.fromkeys(Status, 0)
        for check in checks:
            tally[check.status] += 1
        return cls(*(tally[status] for status in Status))

    @property
    def decided(self) -> int:
        """The denominator: passed, failed and errors."""
        return self.passed + self.failed + self.errors

    @property
    def rate(self) -> float | None:
        """Passed over decided; None where nothing was decided."""
        return self.passed / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Wilson interval of the rate."""
        if not self.decided:
            return None
        n, p = self.decided, self.passed / self.decided
        centre = (p + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
        half = Z_95 * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n)) / (1 + Z_95**2 / n)
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Category:
    """All checks of one name, from whatever stages they came."""

    name: str
    counts: Counts
    verdict: Verdict
    threshold: float
    seconds: float
    optional: bool = False
    reasons: tuple[str, ...] = ()
    unreached: int = 0


@dataclass(frozen=True, slots=True)
class Threshold:
    """A measured value beside what is accepted; None where nothing was measured."""

    name: str
    value: float | None
    limit: float
    highest: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is there and on the right side of the limit."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.highest else self.value >= self.limit

    @property
    def accepted(self) -> str:
        """The limit in words."""
        return f"{'at most' if self.highest else 'at least'} {self.limit:g}"


@dataclass(frozen=True)
class Report:
    """Everything that a run found out; ``seconds`` is wall time.

    ``trend`` holds what is known of earlier runs and of this one, the oldest first; ``notes`` is
    what the harness could not do for itself.
    """

    project: str
    started: datetime
    seconds: float
    verdict: Verdict
    categories: tuple[Category, ...]
    checks: tuple[Check, ...]
    stages: tuple[StageResult, ...]
    thresholds: tuple[Threshold, ...] = ()
    cancelled: bool = False
    id: str = ""
    flaky: tuple[Flaky, ...] = ()
    trend: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()
    python: str = field(default_factory=lambda: sys.version.split()[0])
    system: str = field(default_factory=lambda: f"{platform.system()} {platform.machine()}")

    @property
    def counts(self) -> Counts:
        """All checks of all categories."""
        return Counts.of(self.checks)

    @property
    def bad(self) -> list[Check]:
        """Failed checks and errors."""
        return [check for check in self.checks if check.bad]

    @property
    def slowest(self) -> list[Check]:
        """The checks that took longest."""
        timed = (check for check in self.checks if check.seconds > 0)
        return sorted(timed, key=lambda check: -check.seconds)[:SLOWEST]

    @property
    def coverage(self) -> Coverage | None:
        """The coverage of the stage that executed most; what only others did is not counted."""
        return _coverage(self.stages)

    @property
    def benchmarks(self) -> list[Comparison]:
        """All benchmarks beside their baselines."""
        return [item for stage in self.stages for item in stage.benchmarks]

    @property
    def figures(self) -> list[Figure]:
        """All measured figures."""
        return [item for stage in self.stages for item in stage.figures]

    @property
    def findings(self) -> list[Finding]:
        """What tools said about places in files."""
        return [item for stage in self.stages for item in stage.findings]

    @property
    def warnings(self) -> list[str]:
        """What was noticed and is not counted."""
        return [*self.notes, *(item for stage in self.stages for item in stage.warnings)]


def build(
    plan: Plan,
    results: Sequence[StageResult],
    *,
    started: datetime,
    cancelled: bool = False,
) -> Report:
    """Sort the checks into categories and judge them."""
    checks = tuple(check for result in results for check in result.checks)
    categories = tuple(_category(plan, name, results, checks) for name in _names(plan, results))
    thresholds = _thresholds(plan, results, categories)
    return Report(
        project=plan.root.name,
        started=started,
        seconds=(datetime.now(UTC) - started).total_seconds(),
        verdict=_verdict(categories, thresholds, cancelled=cancelled),
        categories=categories,
        checks=checks,
        stages=tuple(results),
        thresholds=thresholds,
        cancelled=cancelled,
    )


def _names(plan: Plan, results: Sequence[StageResult]) -> list[str]:
    names: dict[str, None] = {}
    for result in results:
        names |= dict.fromkeys([result.stage.category])
        names |= dict.fromkeys(check.category for check in result.checks)
        if result.stage.sorts:
            names |= dict.fromkeys(category.name for category in plan.categories)
    return list(names)


def _category(
    plan: Plan, name: str, results: Sequence[StageResult], checks: Sequence[Check]
) -> Category:
    own = [check for check in checks if check.category == name]
    mapped = any(category.name == name for category in plan.categories)
    stages = [
        result
        for result in results
        if result.stage.category == name or (mapped and result.stage.sorts)
    ]
    counts = Counts.of(own)
    threshold = plan.thresholds.of(name)
    return Category(
        name=name,
        counts=counts,
        verdict=_judge(counts, threshold, stages),
        threshold=threshold,
        seconds=sum(c.seconds for c in own) if mapped else sum(r.seconds for r in stages),
        optional=bool(stages) and all(result.stage.optional for result in stages),
        reasons=tuple(dict.fromkeys(r.not_run for r in stages if r.not_run)),
        unreached=sum(r.unreached for r in stages if r.stage.category == name),
    )


def _judge(counts: Counts, threshold: float, stages: Sequence[StageResult]) -> Verdict:
    if counts.rate is not None and counts.rate < threshold:
        return Verdict.FAILED
    missing = [result for result in stages if result.not_run]
    if missing and len(missing) == len(stages) and not counts.decided:
        return Verdict.NOT_RUN
    if any(not result.stage.optional for result in missing) or any(r.unreached for r in stages):
        return Verdict.INCOMPLETE
    if counts.decided:
        return Verdict.PASSED
    return Verdict.ALL_SKIPPED if counts.skipped else Verdict.NO_TESTS


def _thresholds(
    plan: Plan, results: Sequence[StageResult], categories: Sequence[Category]
) -> tuple[Threshold, ...]:
    found = [Threshold(f"{c.name} rate", c.counts.rate, c.threshold) for c in categories]
    ran = any(result.stage.kind == "pytest" and not result.not_run for result in results)
    if plan.coverage and ran:
        found += _coverage_thresholds(plan, results)
    for result in results:
        found += [
            Threshold(figure.name, figure.value, figure.limit, highest=True)
            for figure in result.figures
            if figure.limit is not None
        ]
        slower = sum(item.change is Change.SLOWER for item in result.benchmarks)
        if slower:
            found.append(Threshold("slower benchmarks", float(slower), 0.0, highest=True))
    return tuple(found)


def _coverage(results: Sequence[StageResult]) -> Coverage | None:
    measured = (result.coverage for result in results if result.coverage)
    return max(measured, key=lambda each: each.total.numerator, default=None)


def _coverage_thresholds(plan: Plan, results: Sequence[StageResult]) -> Iterator[Threshold]:
    coverage = _coverage(results)
    if plan.thresholds.coverage is not None:
        percent = coverage.total.percent if coverage else None
        yield Threshold("coverage", percent, plan.thresholds.coverage)
    changed = coverage.changed if coverage else None
    if plan.thresholds.changed_coverage is not None and not (changed and changed.nothing):
        percent = changed.total.percent if changed else None
        yield Threshold("coverage of changed lines", percent, plan.thresholds.changed_coverage)


def _verdict(
    categories: Sequence[Category], thresholds: Sequence[Threshold], *, cancelled: bool
) -> Verdict:
    judged = (t for t in thresholds if not t.name.endswith(" rate"))
    if any(category.verdict is Verdict.FAILED for category in categories):
        return Verdict.FAILED
    if not all(threshold.met for threshold in judged):
        return Verdict.FAILED
    wanted = [category for category in categories if not category.optional]
    if cancelled or any(category.verdict is not Verdict.PASSED for category in wanted):
        return Verdict.INCOMPLETE
    passed = any(category.verdict is Verdict.PASSED for category in categories)
    return Verdict.PASSED if passed else Verdict.INCOMPLETE
