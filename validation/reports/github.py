"""What GitHub Actions shows of a run: annotations at lines, and the job's step summary."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from validation.checks import Check
from validation.findings import Finding
from validation.report import Report

# GitHub shows so many of each level for a step and drops the rest without a word.
SHOWN = 10
SUMMARY_BYTES = 1_000_000
TEXT = 2000


def commands(report: Report) -> Iterator[str]:
    """Workflow commands: failures, then what tools found, then warnings."""
    told = {result.stage.name for result in report.stages if result.findings}
    failures = [check for check in report.bad if check.id not in told]
    errors = [*map(_of_check, failures), *map(_of_finding, _level(report, "error"))]
    warnings = [*map(_of_finding, _level(report, "warning"))]
    warnings += [_command("warning", {}, text) for text in report.warnings]
    for level, found in (("error", errors), ("warning", warnings)):
        yield from found[: SHOWN if len(found) <= SHOWN else SHOWN - 1]
        if len(found) > SHOWN:
            rest = len(found) - SHOWN + 1
            yield _command(level, {"title": "more"}, f"{rest} more are in the step's summary.")


def _level(report: Report, level: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.level == level]


def _of_check(check: Check) -> str:
    place = {"file": check.file, "line": str(check.line or ""), "title": check.id}
    return _command("error", place, check.message or check.status)


def _of_finding(finding: Finding) -> str:
    place = {
        "file": finding.file,
        "line": str(finding.line or ""),
        "col": str(finding.column or ""),
        "title": f"{finding.tool}: {finding.rule}",
    }
    return _command(finding.level, place, finding.message)


def _command(word: str, properties: Mapping[str, str], text: str) -> str:
    told = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{word} {told}::{_data(text[:TEXT])}" if told else f"::{word}::{_data(text[:TEXT])}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def show(text: str, environment: Mapping[str, str] = os.environ) -> None:
    """Print a report whose words, a stranger's, must give GitHub Actions no commands."""
    if environment.get("GITHUB_ACTIONS") != "true":
        print(text)
        return
    word = secrets.token_hex(16)
    print(f"::stop-commands::{word}\n{text}\n::{word}::")


def tell(report: Report, markdown: str, environment: Mapping[str, str] = os.environ) -> None:
    """Print the annotations and add to the step's summary, where GitHub Actions runs us."""
    if environment.get("GITHUB_ACTIONS") == "true":
        for command in commands(report):
            print(command)
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        text = markdown.encode("utf-8", "replace")[:SUMMARY_BYTES].decode("utf-8", "ignore")
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
