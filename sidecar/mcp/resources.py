"""What a client may read without a call: the state files as tools see them, and findings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp_types import Resource

from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.services.diagnosis import FileReport, diagnose_workspace
from sidecar.services.registry import resolve

MIME_TYPE = "application/json"


@dataclass(frozen=True)
class Source:
    """One resource: its names, and how its text is made."""

    name: str
    title: str
    description: str
    text: Callable[[Context], str]

    @property
    def uri(self) -> str:
        """The address by which clients read it."""
        return f"sidecar://{self.name}"

    def listing(self) -> Resource:
        """What ``resources/list`` tells of it."""
        return Resource(
            uri=self.uri,
            name=self.name,
            title=self.title,
            description=self.description,
            mime_type=MIME_TYPE,
        )


def _from_tool(tool: str, **arguments: Any) -> Callable[[Context], str]:
    def text(context: Context) -> str:
        return _compact(called(resolve(tool), context, arguments).structured())

    return text


def _diagnostics(context: Context) -> str:
    reports = diagnose_workspace(context.workspace, context.settings, context.clock())
    return _compact({"files": [_reported(report) for report in reports]})


def _reported(report: FileReport) -> dict[str, Any]:
    findings = [
        {
            "code": finding.code,
            "severity": finding.severity.value,
            "line": report.source.position(finding.span.start).line + 1,
            "message": finding.message,
        }
        for finding in report.findings
    ]
    told: dict[str, Any] = {"path": report.path, "kind": report.kind.value, "findings": findings}
    if report.product is not None:
        product = report.product
        loads = {"verdict": product.verdict, "loaded": product.loaded, "total": product.total}
        told["product"] = {"name": product.name, **loads}
    return {**told, "error": report.error} if report.error else told


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


RESOURCES: dict[str, Source] = {
    source.uri: source
    for source in (
        Source(
            "schedules",
            "Schedules",
            "What runs when, with the next execution of each",
            _from_tool("get_schedule_status", include_inactive=True),
        ),
        Source(
            "modes",
            "Modes",
            "Every mode and what it may do",
            _from_tool("get_mode_capabilities"),
        ),
        Source(
            "todo",
            "Plan",
            "Open tasks of TODO.md and the progress of each section",
            _from_tool("get_todo_status"),
        ),
        Source(
            "memory",
            "Memory",
            "The newest entries of the persistent memory",
            _from_tool("get_persistent_memory"),
        ),
        Source(
            "diagnostics",
            "Diagnostics",
            "What is wrong in the state files, by file and line",
            _diagnostics,
        ),
    )
}
