"""Reports as text, JSON, GitHub annotations and SARIF."""

from __future__ import annotations

import json
import sys
import urllib.parse
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from sidecar import __version__
from sidecar.cli.visible import cells, one_line
from sidecar.domain.finding import Finding, Fix, Severity
from sidecar.domain.source import Source, Span
from sidecar.rules.registry import RULES
from sidecar.services.diagnosis import FileReport

COLOURS = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.INFO: "cyan",
    Severity.HINT: "dim",
}
GITHUB_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning"}
SARIF_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning"}
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def summary(reports: Sequence[FileReport]) -> dict[str, int]:
    """How many files, findings of each severity, and files that could not be checked."""
    counts = {f"{s.value}s": sum(report.count(s) for report in reports) for s in Severity}
    unchecked = sum(bool(report.error) for report in reports)
    return {"files": len(reports), **counts, "unchecked": unchecked}


def write_text(reports: Sequence[FileReport]) -> None:
    """For people: one line a finding, with the source line and colours on a terminal."""
    console = Console(soft_wrap=True, highlight=False)
    for report in reports:
        if report.error:
            console.print(_line(report.path, "not checked", "bold red", report.error))
            continue
        for finding in report.findings:
            _write_finding(console, report, finding)
        if report.product:
            p = report.product
            told = f"{p.name}: {p.verdict}, {p.loaded} of {p.total} loaded"
            console.print(_line(report.path, "info", "green", told))
    counts = summary(reports)
    told = ", ".join(_counted(counts[f"{s.value}s"], s.value) for s in Severity)
    unchecked = f", {counts['unchecked']} not checked" if counts["unchecked"] else ""
    console.print(f"{_counted(counts['files'], 'file')}: {told}{unchecked}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _line(place: str, word: str, colour: str, message: str) -> Text:
    told = f": {one_line(message)}"
    return Text.assemble((one_line(place), "bold"), ": ", (word, colour), told)


def _write_finding(console: Console, report: FileReport, finding: Finding) -> None:
    start = report.source.position(finding.span.start)
    place = f"{report.path}:{start.line + 1}:{start.character + 1}"
    word = f"{finding.severity.value} {finding.code}"
    console.print(_line(place, word, COLOURS[finding.severity], finding.message))
    if console.is_terminal:
        console.print(_excerpt(report.source, finding.span, COLOURS[finding.severity]))


def _excerpt(source: Source, span: Span, colour: str) -> Text:
    """The finding's first line with the finding underlined, cut to what a screen shows."""
    start = source.position(span.start)
    line = source.slice(source.line_span(start.line))
    first = max(0, start.character - 60)
    shown = cells(line[first : first + 110])
    margin = f"{start.line + 1:>6} | "
    width = max(1, min(span.end - span.start, len(shown) - (start.character - first)))
    marks = " " * (len(margin) + start.character - first) + "^" * width
    return Text.assemble((margin, "dim"), shown, "\n", (marks, colour))


def range_of(source: Source, span: Span) -> dict[str, Any]:
    """A span as 0-based lines and code points."""
    start, end = source.position(span.start), source.position(span.end)
    return {"start": start._asdict(), "end": end._asdict()}


def _fix(source: Source, fixes: tuple[Fix, ...]) -> dict[str, Any] | None:
    if not fixes:
        return None
    fix = fixes[0]
    edits = [{"range": range_of(source, e.span), "newText": e.text} for e in fix.edits]
    return {"title": fix.title, "safe": fix.safe, "edits": edits}


def as_json(report: FileReport) -> dict[str, Any]:
    """One file's report as the documented JSON object."""
    p = report.product
    product = (
        {"name": p.name, "verdict": p.verdict, "loaded": p.loaded, "total": p.total} if p else None
    )
    findings = [
        {
            "code": finding.code,
            "severity": finding.severity.value,
            "message": finding.message,
            "range": range_of(report.source, finding.span),
            "fix": _fix(report.source, finding.fixes),
        }
        for finding in report.findings
    ]
    value = {"path": report.path, "kind": report.kind.value, "product": product}
    return value | {"findings": findings} | ({"error": report.error} if report.error else {})


def write_json(reports: Sequence[FileReport]) -> None:
    """For programs: everything, as one JSON object."""
    value = {"files": [as_json(report) for report in reports], "summary": summary(reports)}
    json.dump(value, sys.stdout, indent=2, ensure_ascii=True)
    print()


def write_github(reports: Sequence[FileReport]) -> None:
    """For GitHub Actions: workflow commands that become annotations."""
    for report in reports:
        if report.error:
            print(f"::error file={_property(report.path)}::{_data(report.error)}")
        for finding in report.findings:
            where = range_of(report.source, finding.span)
            place = {
                "file": report.path,
                "line": where["start"]["line"] + 1,
                "col": where["start"]["character"] + 1,
                "endLine": where["end"]["line"] + 1,
                "title": finding.code,
            }
            properties = ",".join(f"{key}={_property(str(v))}" for key, v in place.items())
            word = GITHUB_WORDS.get(finding.severity, "notice")
            print(f"::{word} {properties}::{_data(finding.message)}")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def write_sarif(reports: Sequence[FileReport]) -> None:
    """For code scanning: SARIF 2.1.0, columns in code points."""
    found = [(report, finding) for report in reports for finding in report.findings]
    codes = sorted({finding.code for _, finding in found})
    rules = [
        {"id": c, "name": RULES[c].name, "fullDescription": {"text": RULES[c].page}} for c in codes
    ]
    driver = {"name": "sidecar", "version": __version__, "rules": rules}
    notices = [
        {"level": "error", "message": {"text": f"{report.path}: {report.error}"}}
        for report in reports
        if report.error
    ]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {"executionSuccessful": not notices, "toolExecutionNotifications": notices}
        ],
        "results": [_sarif_result(report, finding) for report, finding in found],
    }
    json.dump({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, sys.stdout, indent=2)
    print()


def _sarif_result(report: FileReport, finding: Finding) -> dict[str, Any]:
    where = range_of(report.source, finding.span)
    region = {
        "startLine": where["start"]["line"] + 1,
        "startColumn": where["start"]["character"] + 1,
        "endLine": where["end"]["line"] + 1,
        "endColumn": where["end"]["character"] + 1,
    }
    location = {"artifactLocation": {"uri": urllib.parse.quote(report.path)}, "region": region}
    return {
        "ruleId": finding.code,
        "level": SARIF_LEVELS.get(finding.severity, "note"),
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": location}],
    }
