"""All checks of a run as one JUnit XML file, a test suite for each category."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from validation.checks import Check, Status
from validation.report import Category, Counts, Report

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_TAGS = {Status.FAILED: "failure", Status.ERROR: "error", Status.SKIPPED: "skipped"}


def junit(report: Report) -> str:
    """The file's text."""
    root = ET.Element("testsuites", name=_clean(report.project), time=f"{report.seconds:.3f}")
    _count(root, report.counts)
    for category in report.categories:
        root.append(_suite(report, category))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _count(element: ET.Element, counts: Counts) -> None:
    element.set("tests", str(counts.decided + counts.skipped))
    element.set("failures", str(counts.failed))
    element.set("errors", str(counts.errors))
    element.set("skipped", str(counts.skipped))


def _suite(report: Report, category: Category) -> ET.Element:
    stamp = report.started.strftime("%Y-%m-%dT%H:%M:%S")
    suite = ET.Element("testsuite", name=_clean(category.name), timestamp=stamp)
    suite.set("time", f"{category.seconds:.3f}")
    _count(suite, category.counts)
    for check in report.checks:
        if check.category == category.name:
            suite.append(_case(check))
    if category.reasons:
        told = ET.SubElement(suite, "system-out")
        told.text = _clean("\n".join(f"not run: {reason}" for reason in category.reasons))
    return suite


def _case(check: Check) -> ET.Element:
    owner, name = _names(check)
    case = ET.Element("testcase", classname=owner, name=name, time=f"{check.seconds:.4f}")
    if check.file:
        case.set("file", _clean(check.file))
    if check.line:
        case.set("line", str(check.line - 1))  # as pytest counts there
    if check.status is not Status.PASSED:
        lines = check.message.strip().splitlines() or [check.status.value]
        child = ET.SubElement(case, _TAGS[check.status], message=_clean(lines[0])[:300])
        child.text = _clean(check.message)
    return case


def _names(check: Check) -> tuple[str, str]:
    """Class name and name from an id like ``tests/test_a.py::TestB::test_c``."""
    identifier = _clean(check.id)
    if "::" not in identifier:
        return _clean(check.category), identifier
    head, _, parameters = identifier.partition("[")
    parts = head.split("::")
    owner = ".".join([parts[0].removesuffix(".py").replace("/", "."), *parts[1:-1]])
    return owner, parts[-1] + (f"[{parameters}" if parameters else "")


def _clean(text: str) -> str:
    """The text without what XML cannot hold, such as a terminal's colours."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
