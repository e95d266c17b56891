"""The report as Markdown that fits a pull request's comment and an agent's context."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from validation.checks import Check
from validation.coverage_json import Changed
from validation.flakiness import Flaky
from validation.report import Category, Counts, Report, Verdict

FAILURES = 30
MESSAGE = 600
ID = 300
# GitHub takes 65,536 characters in a comment.
MOST = 60_000
FILES = 10
NOTABLE_SECONDS = 0.05


def markdown(report: Report) -> str:
    """The whole report, long lists cut and said so."""
    parts = [
        f"# Validation of {report.project}: {report.verdict}",
        _head(report),
        _categories(report),
        _failures(report.bad),
        _not_run(report.categories),
        _thresholds(report),
        _coverage(report),
        _benchmarks(report),
        _figures(report),
        _flaky(report.flaky),
        _slowest(report),
        _warnings([*_remarks(report), *report.warnings]),
    ]
    return _cut("\n\n".join(filter(None, parts)) + "\n")


def _cut(text: str) -> str:
    """The text as long as a comment on GitHub may be, ended between two lines."""
    if len(text) <= MOST:
        return text
    kept = text[:MOST].rpartition("\n")[0]
    closed = "\n  ```" if kept.count("```") % 2 else ""
    return f"{kept}{closed}\n\n… cut here; the other forms of the report have all of it.\n"


def plain_line(report: Report) -> str:
    """`N passed, N failed, N skipped`; errors count as failed here, for whoever reads one line."""
    counts = report.counts
    failed = counts.failed + counts.errors
    return f"{counts.passed} passed, {failed} failed, {counts.skipped} skipped"


def _head(report: Report) -> str:
    counts = report.counts
    started = report.started.strftime("%Y-%m-%d %H:%M:%S UTC")
    return (
        f"{counts.passed} of {counts.decided} checks passed ({_percent(counts.rate)}), "
        f"{counts.failed} failed, {counts.errors} errors, {counts.skipped} skipped, in "
        f"{report.seconds:.0f} s on {started}, Python {report.python}, {report.system}."
        + (" The run was cancelled." if report.cancelled else "")
    )


def _percent(rate: float | None) -> str:
    return "none" if rate is None else f"{100 * rate:.1f} %"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return _plain(str(value)).replace("|", "\\|").replace("\n", " ")


def _categories(report: Report) -> str:
    header = ("category", "verdict", "passed", "rate", "95 % interval", "failed", "errors",
              "skipped", "seconds")  # fmt: skip
    return _table(header, (_category(category) for category in report.categories))


def _category(category: Category) -> tuple[object, ...]:
    counts = category.counts
    verdict = category.verdict
    shown = f"**{verdict}**" if verdict is Verdict.FAILED else verdict
    return (
        category.name,
        shown,
        f"{counts.passed}/{counts.decided}",
        _percent(counts.rate) if counts.decided else "",
        _interval(counts),
        counts.failed,
        counts.errors,
        counts.skipped,
        f"{category.seconds:.1f}",
    )


def _interval(counts: Counts) -> str:
    interval = counts.interval
    return f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f} %" if interval else ""


def _failures(bad: Sequence[Check]) -> str:
    if not bad:
        return ""
    lines = ["## What failed"]
    for check in bad[:FAILURES]:
        place = f" ({check.evidence})" if check.evidence else ""
        lines.append(f"* **{check.status}** `{_plain(check.id[:ID])}`{_plain(place)}")
        if check.message:
            text = (
                check.message if len(check.message) <= MESSAGE else "…" + check.message[-MESSAGE:]
            )
            shown = (f"  {row}" for row in _plain(text).splitlines())
            lines.append("\n".join(["  ```", *shown, "  ```"]))
        if check.hint:
            lines.append(f"  To do: {check.hint}")
    if len(bad) > FAILURES:
        lines.append(f"* … and {len(bad) - FAILURES} more.")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """The text without what would end a code block or colour a terminal."""
    told = text.replace("```", "'" * 3).expandtabs(4)
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in told)


def _not_run(categories: Sequence[Category]) -> str:
    rows = [
        f"* {category.name}: {reason}" for category in categories for reason in category.reasons
    ]
    rows += [
        f"* {c.name}: {c.unreached} tests were not reached." for c in categories if c.unreached
    ]
    return "\n".join(["## What was not run", *rows]) if rows else ""


def _thresholds(report: Report) -> str:
    others = [item for item in report.thresholds if not item.name.endswith(" rate")]
    if not others:
        return ""
    rows = (
        (t.name, "none" if t.value is None else f"{t.value:.2f}", t.accepted, _met(met=t.met))
        for t in others
    )
    return "## Thresholds\n" + _table(("what", "measured", "accepted", ""), rows)


def _met(*, met: bool) -> str:
    return "met" if met else "**missed**"


def _coverage(report: Report) -> str:
    coverage = report.coverage
    if coverage is None:
        reasons = [stage.coverage_missing for stage in report.stages if stage.coverage_missing]
        return "\n".join(["## Coverage", *reasons]) if reasons else ""
    kind = "statements and branches" if coverage.branches else "statements"
    total = coverage.total
    lowest = sorted(
        (item for item in coverage.files if item.percent is not None and item.percent < 100),
        key=lambda item: item.percent or 0,
    )
    rows = (
        (f.name, f"{f.numerator}/{f.denominator}", f"{f.percent:.1f} %") for f in lowest[:FILES]
    )
    text = f"## Coverage\n{total.numerator} of {total.denominator} {kind}: "
    text += f"{total.percent:.1f} %." if total.percent is not None else "nothing to execute."
    text += _changed(coverage.changed) if coverage.changed else ""
    return text + ("\n\n" + _table(("least covered", "executed", ""), rows) if lowest else "")


def _changed(changed: Changed) -> str:
    """The coverage of changed lines in a sentence, with where it is missing."""
    if changed.problem:
        return f"\nChanged lines: not known. {changed.problem}"
    if changed.nothing:
        return f"\nChanged lines: no statement differs from {changed.base}."
    total = changed.total
    text = f"\nChanged lines: {total.numerator} of {total.denominator} statements that differ from "
    text += f"{changed.base}: {total.percent:.1f} %."
    missing = [f"`{f.name}`: {ranges(f.missing)}" for f in changed.files if f.missing][:FILES]
    return text + (f" Not executed: {'; '.join(missing)}." if missing else "")


def ranges(lines: Iterable[int]) -> str:
    """Line numbers as people write them: ``3, 7-9``."""
    parts: list[list[int]] = []
    for line in sorted(lines):
        if parts and line == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], line]
        else:
            parts.append([line])
    return ", ".join("-".join(map(str, part)) for part in parts)


def _benchmarks(report: Report) -> str:
    if not report.benchmarks:
        return ""
    rows = (
        (
            item.benchmark.name,
            f"{item.benchmark.median * 1000:.3f} ms",
            f"{item.benchmark.iqr * 1000:.3f} ms",
            f"{item.benchmark.rounds} x {item.runs}",
            f"{item.ratio:.2f}" if item.ratio else "",
            item.change,
        )
        for item in report.benchmarks
    )
    header = ("benchmark", "median", "quartile range", "rounds x runs", "to baseline", "")
    return "## Benchmarks\n" + _table(header, rows)


def _figures(report: Report) -> str:
    if not report.figures:
        return ""
    rows = (
        (f.name, f"{f.value:.4g} {f.unit}", "shown only" if f.limit is None else f"≤ {f.limit:g}",
         f.definition)
        for f in report.figures
    )  # fmt: skip
    return "## Figures\n" + _table(("figure", "measured", "limit", "what it is"), rows)


def _flaky(flaky: Sequence[Flaky]) -> str:
    if not flaky:
        return ""
    header = ("test", "passed", "failed", "passed on retry", "last")
    rows = ((f"`{f.id}`", f.passed, f.bad, f.retried, f.last) for f in flaky[:FILES])
    text = "## Flaky\nRuns of unchanged code that disagree, of the last 30 runs.\n\n"
    return text + _table(header, rows)


def _slowest(report: Report) -> str:
    slow = [check for check in report.slowest if check.seconds >= NOTABLE_SECONDS]
    if not slow:
        return ""
    rows = ((f"`{check.id}`", f"{check.seconds:.2f}") for check in slow)
    return "## Slowest\n" + _table(("check", "seconds"), rows)


def _remarks(report: Report) -> list[str]:
    """What the tests' own source, not a linter, gives cause to warn of."""
    ours = (item for item in report.findings if item.tool in ("assertions", "mutation"))
    return [f"{item.file}:{item.line}: {item.message}" for item in ours]


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    rows = [f"* {_plain(w).splitlines()[0][:200]}" for w in warnings[:FILES] if w.strip()]
    return "\n".join([f"## Warnings ({len(warnings)}, not counted)", *rows])
