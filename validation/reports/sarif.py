"""Findings and failures with a place as SARIF 2.1.0, one run for each tool."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from importlib import metadata
from typing import Any

from validation.findings import Finding
from validation.report import Report

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
OWN = "validation"
MOST = 5000
TITLE = 120


def sarif(report: Report) -> str:
    """The log's text; a run without findings is there, so that old alerts are closed."""
    by_tool: dict[str, list[Finding]] = {OWN: list(_failures(report))}
    for result in report.stages:
        if result.findings:
            by_tool.setdefault(result.stage.name, [])
    for finding in report.findings:
        by_tool.setdefault(finding.tool, []).append(finding)
    runs = [_run(tool, found[:MOST], report) for tool, found in by_tool.items()]
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": runs}, indent=1)


def _failures(report: Report) -> Iterator[Finding]:
    """Failed checks that name a file, unless their tool named the places itself."""
    told = {result.stage.name for result in report.stages if result.findings}
    for check in report.bad:
        if check.file and check.id not in told:
            text = f"{check.id}: {check.message.strip() or check.status}"
            yield Finding(OWN, f"{check.category}/{check.status}", "error", text, check.file,
                          check.line)  # fmt: skip


def _run(tool: str, findings: Iterable[Finding], report: Report) -> dict[str, Any]:
    found = list(findings)
    rules = sorted({finding.rule for finding in found})
    driver: dict[str, Any] = {
        "name": tool,
        "rules": [{"id": rule, "shortDescription": {"text": f"{tool}: {rule}"}} for rule in rules],
    }
    if tool == OWN:
        driver |= {"version": _version(), "fullName": "loop-orchestrator validation"}
    seen: dict[str, int] = {}
    return {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "automationDetails": {"id": f"{report.project}/{tool}/"},
        "invocations": [{"executionSuccessful": not report.cancelled}],
        "results": [_result(finding, rules, seen) for finding in found],
    }


def _version() -> str:
    try:
        return metadata.version("loop-orchestrator")
    except metadata.PackageNotFoundError:
        return "0"


def _result(finding: Finding, rules: list[str], seen: dict[str, int]) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.file)}}
    if finding.line:
        location["region"] = {"startLine": finding.line}
        if finding.column:
            location["region"]["startColumn"] = finding.column
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": finding.level,
        "message": {"text": finding.message or finding.rule},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"finding/v1": _fingerprint(finding, seen)},
    }


def _uri(file: str) -> str:
    return urllib.parse.quote(file.encode("utf-8", "surrogateescape"))


def _fingerprint(finding: Finding, seen: dict[str, int]) -> str:
    """The same for the same remark on another line; equal remarks are numbered."""
    title = finding.message.partition("\n")[0][:TITLE]
    text = "\0".join((finding.tool, finding.rule, finding.file, title))
    name = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    seen[name] = seen.get(name, 0) + 1
    return f"{name}:{seen[name]}"
