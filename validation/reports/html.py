"""The report as one HTML page that needs nothing else, with trends over the kept history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from validation.benchmark_gate import Change, Comparison
from validation.checks import Check
from validation.coverage_json import Coverage, Covered
from validation.report import Category, Report, Verdict
from validation.reports import plot
from validation.reports.markdown import NOTABLE_SECONDS, ranges
from validation.reports.page import Html, bar, document, element, section, table
from validation.reports.plot import Point

FAILURES, FILES, LINES, PLOTS, RUNS = 200, 40, 100, 12, 60
MESSAGE = 4000
# A colour is never alone: the words say the same.
_MARKS = {Verdict.PASSED: "good", Verdict.FAILED: "bad", Verdict.NOT_RUN: "none"}
_CHANGES = {Change.SLOWER: "bad", Change.FASTER: "good", Change.UNSURE: "odd"}


def html(report: Report) -> str:
    """The page's text."""
    return document(
        f"{report.project}: {report.verdict}",
        _head(report),
        _tiles(report),
        section("Categories", _categories(report.categories)),
        section("What failed", *_failures(report.bad)),
        section("What was not run", _not_run(report.categories)),
        section("Trends", _plots(report)),
        section("Thresholds", _thresholds(report)),
        section("Coverage", *_coverage(report)),
        section("Benchmarks", _benchmarks(report.benchmarks)),
        section("Figures", _figures(report)),
        section("Flaky tests", _flaky(report)),
        section("Slowest", _slowest(report)),
        section("Findings", _findings(report)),
        section(f"Warnings ({len(report.warnings)}, not counted)", _list(report.warnings)),
        element("footer", f"Run {report.id}. JSON, Markdown, JUnit XML and SARIF hold the same."),
    )


def _mark(words: str, kind: str) -> Html:
    return element("span", words, class_=f"verdict {kind}")


def _head(report: Report) -> Html:
    started = report.started.strftime("%Y-%m-%d %H:%M:%S UTC")
    told = f"{started}, {report.seconds:.0f} s, Python {report.python}, {report.system}."
    told += " The run was cancelled." if report.cancelled else ""
    mark = _mark(report.verdict, _MARKS.get(report.verdict, "odd"))
    return element(
        "header",
        element("h1", f"Validation of {report.project} ", mark),
        element("p", told, class_="soft"),
    )


def _tiles(report: Report) -> Html:
    counts = report.counts
    interval = counts.interval
    sure = f"95 % interval {_range(interval)}" if interval else "nothing was decided"
    tiles = [
        (f"{counts.passed} of {counts.decided}", f"checks passed, {_percent(counts.rate)}; {sure}"),
        (f"{counts.failed} + {counts.errors}", f"failed + errors; {counts.skipped} skipped"),
    ]
    if coverage := report.coverage:
        tiles.append((_covered(coverage.total), "of what can be executed is covered"))
        if coverage.changed and not coverage.changed.problem and not coverage.changed.nothing:
            told = f"of changed statements are covered (since {coverage.changed.base})"
            tiles.append((_covered(coverage.changed.total), told))
    if report.benchmarks:
        slower = sum(item.change is Change.SLOWER for item in report.benchmarks)
        told = "benchmarks slower than the baseline"
        tiles.append((f"{slower} of {len(report.benchmarks)}", told))
    if report.flaky:
        tiles.append((str(len(report.flaky)), "flaky tests in the last 30 runs"))
    items = [element("li", element("b", value), element("small", told)) for value, told in tiles]
    return element("ul", *items, class_="tiles")


def _percent(rate: float | None) -> str:
    return "no rate" if rate is None else f"{100 * rate:.1f} %"


def _range(interval: tuple[float, float]) -> str:
    return f"{100 * interval[0]:.1f}-{100 * interval[1]:.1f} %"


def _covered(covered: Covered) -> str:
    return "nothing" if covered.percent is None else f"{covered.percent:.1f} %"


def _categories(categories: Iterable[Category]) -> Html:
    header = ("category", "verdict", "passed", "rate", "95 % interval", "failed", "errors",
              "skipped", "seconds", "share")  # fmt: skip
    rows = []
    for category in categories:
        counts = category.counts
        rows.append((
            category.name,
            _mark(category.verdict, _MARKS.get(category.verdict, "odd")),
            f"{counts.passed}/{counts.decided}",
            _percent(counts.rate) if counts.decided else "",
            _range(counts.interval) if counts.interval else "",
            counts.failed,
            counts.errors,
            counts.skipped,
            f"{category.seconds:.1f}",
            bar(counts.passed, counts.failed + counts.errors),
        ))  # fmt: skip
    caption = "The rate is passed over passed, failed and errors; a skipped check is never a pass."
    return table(caption, header, rows)


def _failures(bad: Sequence[Check]) -> list[Html]:
    parts = []
    for check in bad[:FAILURES]:
        place = element("span", f" {check.evidence}", class_="soft") if check.evidence else ""
        name = element("code", check.id)
        title = element("summary", element("b", check.status), " ", name, place)
        message = element("pre", check.message[-MESSAGE:]) if check.message else ""
        hint = element("p", f"To do: {check.hint}") if check.hint else ""
        parts.append(element("details", title, message, hint))
    if len(bad) > FAILURES:
        parts.append(element("p", f"… and {len(bad) - FAILURES} more in the JSON report."))
    return parts


def _not_run(categories: Sequence[Category]) -> Html:
    told = [f"{category.name}: {reason}" for category in categories for reason in category.reasons]
    told += [f"{c.name}: {c.unreached} tests were not reached." for c in categories if c.unreached]
    return _list(told)


def _list(lines: Sequence[str]) -> Html:
    shown = [*lines[:LINES], *([f"… and {len(lines) - LINES} more."] if len(lines) > LINES else [])]
    return element("ul", *(element("li", line) for line in shown)) if shown else Html("")


def _plots(report: Report) -> Html:
    runs = report.trend[-RUNS:]
    rates = [Point(run.started, None if run.rate is None else 100 * run.rate) for run in runs]
    covered = [
        Point(run.started, 100 * run.coverage[0] / run.coverage[1])
        if run.coverage and run.coverage[1]
        else Point(run.started, None)
        for run in runs
    ]
    plots = [
        plot.line("Checks passed", rates, "%"),
        plot.line("Coverage", covered, "%"),
        plot.line("Duration of a run", [Point(run.started, run.seconds) for run in runs], "s"),
    ]
    for item in report.benchmarks[:PLOTS]:
        name = item.benchmark.name
        points = [Point(run.started, run.benchmarks.get(name)) for run in runs]
        plots.append(plot.line(f"{name.rpartition('::')[2]}, median", points, "s"))
    drawn = [Html(figure) for figure in plots if figure]
    return element("div", *drawn, class_="plots") if drawn else Html("")


def _thresholds(report: Report) -> Html:
    rows = (
        (item.name, "not measured" if item.value is None else f"{item.value:.4g}", item.accepted,
         _mark("met", "good") if item.met else _mark("missed", "bad"))
        for item in report.thresholds
    )  # fmt: skip
    return table("What decides the verdict.", ("what", "measured", "accepted", "result"), rows)


def _coverage(report: Report) -> list[Html]:
    coverage = report.coverage
    if coverage is None:
        missing = (stage.coverage_missing for stage in report.stages)
        return [_list(list(filter(None, missing)))]
    kind = "statements and branches" if coverage.branches else "statements"
    total = coverage.total
    files = sorted(
        (file for file in coverage.files if file.percent is not None),
        key=lambda file: (file.percent or 0.0, file.name),
    )
    caption = f"{total.numerator} of {total.denominator} {kind}; the least covered files first."
    header = ("file", "executed", "rate", "share")
    rows = (
        (f.name, f"{f.numerator}/{f.denominator}", f"{f.percent:.1f} %",
         bar(f.numerator, f.denominator - f.numerator))
        for f in files[:FILES]
    )  # fmt: skip
    return [*_changed(coverage), table(caption, header, rows)]


def _changed(coverage: Coverage) -> list[Html]:
    changed = coverage.changed
    if changed is None:
        return []
    if changed.problem or changed.nothing:
        told = changed.problem or f"No statement differs from {changed.base}."
        return [element("p", f"Changed lines: {told}")]
    rows = (
        (f.name, f"{f.numerator}/{f.denominator}", ranges(f.missing)) for f in changed.files[:FILES]
    )
    total = changed.total
    caption = f"Statements on lines that differ from {changed.base}: {total.numerator} of "
    caption += f"{total.denominator} executed."
    return [table(caption, ("changed file", "executed", "lines not executed"), rows)]


def _benchmarks(items: Sequence[Comparison]) -> Html:
    rows = (
        (item.benchmark.name, _time(item.benchmark.median), _time(item.benchmark.floor),
         _time(item.baseline.floor) if item.baseline else "",
         f"{item.ratio:.2f}" if item.ratio else "", f"{item.benchmark.rounds} x {item.runs}",
         _mark(item.change, _CHANGES.get(item.change, "none")))
        for item in items
    )  # fmt: skip
    caption = "The ratio is that of the fastest rounds; slower is said after three calm runs only."
    header = ("benchmark", "median", "fastest", "baseline", "ratio", "rounds x runs", "verdict")
    return table(caption, header, rows)


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def _figures(report: Report) -> Html:
    rows = (
        (f.name, f"{f.value:.4g} {f.unit}", "shown only" if f.limit is None else f"≤ {f.limit:g}",
         f.definition)
        for f in report.figures
    )  # fmt: skip
    return table("Measured in this run.", ("figure", "measured", "limit", "what it is"), rows)


def _flaky(report: Report) -> Html:
    rows = ((f.id, f.passed, f.bad, f.retried, f.last) for f in report.flaky[:FILES])
    caption = "Runs of unchanged code disagree, or a retry helped."
    return table(caption, ("test", "passed", "failed", "passed on retry", "last"), rows)


def _slowest(report: Report) -> Html:
    slow = (check for check in report.slowest if check.seconds >= NOTABLE_SECONDS)
    rows = ((check.id, f"{check.seconds:.2f} s") for check in slow)
    return table("The checks that took longest.", ("check", "time"), rows)


def _findings(report: Report) -> Html:
    found = report.findings
    rows = (
        (f"{f.file}:{f.line}" if f.line else f.file, f.level, f"{f.tool} {f.rule}", f.message)
        for f in found[:LINES]
    )
    caption = f"What tools remarked, {min(len(found), LINES)} of {len(found)}."
    return table(caption, ("place", "level", "rule", "message"), rows)
