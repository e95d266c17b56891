"""Writes the report's forms to files, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from validation.replacing import replace
from validation.report import Report
from validation.reports.as_json import as_data
from validation.reports.html import html
from validation.reports.junit_xml import junit
from validation.reports.markdown import markdown
from validation.reports.sarif import sarif


def _json(report: Report) -> str:
    return json.dumps(as_data(report), indent=1)


FORMS: Mapping[str, Callable[[Report], str]] = {
    "json": _json,
    "markdown": markdown,
    "html": html,
    "junit": junit,
    "sarif": sarif,
}


def write(report: Report, wanted: Mapping[str, Path | None]) -> None:
    """Write each form that has a path; the JSON comes last, for whoever waits for it."""
    for form in sorted(FORMS, key=lambda name: name == "json"):
        if path := wanted.get(form):
            replace(path, FORMS[form](report).encode("utf-8", "replace"))
