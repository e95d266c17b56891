"""The report as JSON: the one source from which every other form could be made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from validation.benchmark_gate import Comparison
from validation.checks import Check
from validation.coverage_json import Coverage
from validation.history import Record
from validation.report import Category, Counts, Report, StageResult

TREND = 50


def as_data(report: Report) -> dict[str, Any]:
    """The report as plain JSON values; the key ``schema`` names the version of this shape."""
    coverage = report.coverage
    return {
        "schema": 1,
        "id": report.id,
        "project": report.project,
        "started": report.started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "seconds": round(report.seconds, 3),
        "python": report.python,
        "system": report.system,
        "verdict": report.verdict,
        "cancelled": report.cancelled,
        "overall": _counts_data(report.counts),
        "categories": [_category_data(category) for category in report.categories],
        "checks": [_check_data(check) for check in report.checks],
        "flaky": [asdict(flaky) for flaky in report.flaky],
        "trend": [_trend_data(record) for record in report.trend[-TREND:]],
        "slowest": [{"id": c.id, "seconds": round(c.seconds, 3)} for c in report.slowest],
        "coverage": coverage and _coverage_data(coverage),
        "coverage_missing": [s.coverage_missing for s in report.stages if s.coverage_missing],
        "benchmarks": [_benchmark_data(item) for item in report.benchmarks],
        "figures": [
            {"name": f.name, "value": f.value, "unit": f.unit, "limit": f.limit,
             "definition": f.definition}
            for f in report.figures
        ],
        "thresholds": [
            {"name": t.name, "value": t.value, "limit": t.limit, "highest": t.highest, "met": t.met}
            for t in report.thresholds
        ],
        "findings": [asdict(finding) for finding in report.findings],
        "warnings": report.warnings,
        "stages": [_stage_data(result) for result in report.stages],
    }  # fmt: skip


def _trend_data(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "started": record.started,
        "verdict": record.verdict,
        "seconds": record.seconds,
        "rate": record.rate,
        "coverage": record.coverage and _ratio(*record.coverage)["rate"],
        "benchmarks": dict(record.benchmarks),
    }


def _ratio(numerator: int, denominator: int) -> dict[str, Any]:
    rate = numerator / denominator if denominator else None
    return {"numerator": numerator, "denominator": denominator, "rate": rate}


def _coverage_data(coverage: Coverage) -> dict[str, Any]:
    changed = coverage.changed
    return {
        "branches": coverage.branches,
        "total": _ratio(coverage.total.numerator, coverage.total.denominator),
        "files": {f.name: _ratio(f.numerator, f.denominator) for f in coverage.files},
        "changed": changed and {
            "base": changed.base,
            "problem": changed.problem,
            "total": _ratio(changed.total.numerator, changed.total.denominator),
            "files": {
                f.name: {**_ratio(f.numerator, f.denominator), "missing": sorted(f.missing)}
                for f in changed.files
            },
        },
    }  # fmt: skip


def _counts_data(counts: Counts) -> dict[str, Any]:
    interval = counts.interval
    return {
        "passed": counts.passed,
        "failed": counts.failed,
        "errors": counts.errors,
        "skipped": counts.skipped,
        **_ratio(counts.passed, counts.decided),
        "wilson95": list(interval) if interval else None,
    }


def _category_data(category: Category) -> dict[str, Any]:
    return {
        "name": category.name,
        "verdict": category.verdict,
        **_counts_data(category.counts),
        "threshold": category.threshold,
        "seconds": round(category.seconds, 3),
        "optional": category.optional,
        "unreached": category.unreached,
        "reasons": list(category.reasons),
    }


def _check_data(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "category": check.category,
        "status": check.status,
        "file": check.file,
        "line": check.line,
        "seconds": round(check.seconds, 4),
        "message": check.message,
        "hint": check.hint,
        "quote": check.quote,
    }


def _benchmark_data(item: Comparison) -> dict[str, Any]:
    return {
        "name": item.benchmark.name,
        "median": item.benchmark.median,
        "iqr": item.benchmark.iqr,
        "rounds": item.benchmark.rounds,
        "fastest": item.benchmark.floor,
        "baseline": item.baseline.floor if item.baseline else None,
        "ratio": item.ratio,
        "runs": item.runs,
        "p": item.chance,
        "change": item.change,
    }


def _stage_data(result: StageResult) -> dict[str, Any]:
    return {
        "name": result.stage.name,
        "category": result.stage.category,
        "kind": result.stage.kind,
        "seconds": round(result.seconds, 3),
        "not_run": result.not_run,
        "artefacts": list(result.artefacts),
    }
