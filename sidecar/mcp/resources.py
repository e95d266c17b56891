"""What a client may read without a call: the state files as tools see them, findings and runs.

A resource ``sidecar://NAME`` shows a whole; ``sidecar://NAME/PART`` shows one part of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, Resource, ResourceTemplate
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Checked, Kind, Other
from sidecar.domain.memory import SECTIONS
from sidecar.services import runs
from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.services.diagnosis import FileReport, diagnose_workspace
from sidecar.services.modes import known_modes
from sidecar.services.registry import resolve

MIME_TYPE = "application/json"
SCHEME = "sidecar://"
MAX_BYTES = 8 * 1024 * 1024
MAX_URI = 2_000
RESOURCE_NOT_FOUND = -32002  # MCP 2025-11-25, "Resources", "Error Handling"

Text = Callable[[Context], str]
Version = Callable[[Context], str]


@dataclass(frozen=True)
class Source:
    """One resource: its names, how its text is made, and what tells that it has changed.

    ``kinds`` are the files that it is made from; where it is made from records instead,
    ``version`` gives a word that differs after a change.
    """

    name: str
    title: str
    description: str
    text: Text
    kinds: frozenset[Checked] = frozenset()
    version: Version | None = None

    @property
    def uri(self) -> str:
        """The address by which clients read it."""
        return f"{SCHEME}{self.name}"

    def listing(self) -> Resource:
        """What ``resources/list`` tells of it."""
        return Resource(
            uri=self.uri,
            name=self.name,
            title=self.title,
            description=self.description,
            mime_type=MIME_TYPE,
        )


@dataclass(frozen=True)
class Family:
    """The resources of all parts of something, and the names that parts have now."""

    name: str
    part: str
    title: str
    description: str
    text: Callable[[Context, str], str]
    parts: Callable[[Context], Iterable[str]]
    kinds: frozenset[Checked] = frozenset()
    version: Callable[[Context, str], str] | None = None

    @property
    def template(self) -> str:
        """The RFC 6570 template of the addresses; a part may hold slashes where it is a path."""
        variable = f"{{+{self.part}}}" if self.part == "path" else f"{{{self.part}}}"
        return f"{SCHEME}{self.name}/{variable}"

    def listing(self) -> ResourceTemplate:
        """What ``resources/templates/list`` tells of it."""
        return ResourceTemplate(
            uri_template=self.template,
            name=f"{self.name}-{self.part}",
            title=self.title,
            description=self.description,
            mime_type=MIME_TYPE,
        )

    def source(self, part: str) -> Source:
        """The resource of one part, whether there is such a part or not."""
        version = self.version
        return Source(
            f"{self.name}/{quote(part)}",
            self.title,
            self.description,
            lambda context: self.text(context, part),
            self.kinds,
            None if version is None else lambda context: version(context, part),
        )


def find(uri: str) -> Source | None:
    """The resource of an address; None where none can have it."""
    known = RESOURCES.get(uri)
    if known is not None or not uri.startswith(SCHEME) or len(uri) > MAX_URI:
        return known
    name, _, part = uri.removeprefix(SCHEME).partition("/")
    family = FAMILIES.get(name)
    wanted = unquote(part, errors="replace")
    return family.source(wanted) if family is not None and wanted else None


def missing(uri: str, protocol_version: str) -> MCPError:
    """The error for an address of nothing; since 2026 it has no code of its own (SEP-2164)."""
    code = INVALID_PARAMS if protocol_version in MODERN_PROTOCOL_VERSIONS else RESOURCE_NOT_FOUND
    return MCPError(code, f"There is no resource {uri[:200]}.", {"uri": uri[:200]})


def read(context: Context, source: Source) -> str:
    """A resource's text; raises SidecarError, also E_TOO_LARGE for more than a client can use."""
    text = source.text(context)
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise SidecarError(
            ErrorCode.TOO_LARGE,
            f"{source.uri} is longer than {MAX_BYTES} bytes.",
            hint="Read a part of it, or call the tool that pages.",
        )
    return text


def _tool(name: str, **arguments: Any) -> Text:
    def text(context: Context) -> str:
        return _compact(called(resolve(name), context, arguments).structured())

    return text


def _tool_part(name: str, parameter: str, **more: Any) -> Callable[[Context, str], str]:
    def text(context: Context, part: str) -> str:
        return _compact(called(resolve(name), context, {parameter: part, **more}).structured())

    return text


def _reports(context: Context) -> list[FileReport]:
    return diagnose_workspace(context.workspace, context.settings, context.clock())


def _diagnostics(context: Context) -> str:
    return _compact({"files": [_reported(report) for report in _reports(context)]})


def _diagnostics_of(context: Context, path: str) -> str:
    found = [_reported(report) for report in _reports(context) if report.path == path]
    if not found:
        raise SidecarError(ErrorCode.NOT_FOUND, f"`{path}` is none of the files that are checked.")
    return _compact({"files": found})


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


def paths(context: Context) -> list[str]:
    """The files that are checked."""
    return [report.path for report in _reports(context)]


def slugs(context: Context) -> list[str]:
    """The modes that can be named."""
    return [mode.slug for mode in known_modes(context)]


def _listed(tool: str, field: str, name: str, **arguments: Any) -> Callable[[Context], list[str]]:
    """The names of what a tool lists; none where it has nothing to list from."""

    def names(context: Context) -> Iterator[str]:
        try:
            found = called(resolve(tool), context, arguments).structured()[field]
        except SidecarError:
            return
        yield from (str(each[name]) for each in found if each.get(name))

    return lambda context: list(dict.fromkeys(names(context)))


_EVERYTHING = frozenset[Checked]({*Kind, Other.SETTINGS})

RESOURCES: dict[str, Source] = {
    source.uri: source
    for source in (
        Source(
            "schedules",
            "Schedules",
            "What runs when, with the next execution of each",
            _tool("get_schedule_status", include_inactive=True),
            frozenset({Kind.SCHEDULES}),
        ),
        Source(
            "modes",
            "Modes",
            "Every mode and what it may do",
            _tool("get_mode_capabilities"),
            frozenset({Kind.MODES}),
        ),
        Source(
            "todo",
            "Plan",
            "Open tasks of TODO.md and the progress of each section",
            _tool("get_todo_status"),
            frozenset({Kind.TODO}),
        ),
        Source(
            "memory",
            "Memory",
            "The newest entries of the persistent memory",
            _tool("get_persistent_memory"),
            frozenset({Kind.MEMORY}),
        ),
        Source(
            "diagnostics",
            "Diagnostics",
            "What is wrong in the state files, by file and line",
            _diagnostics,
            _EVERYTHING,
        ),
        Source(
            "validation/latest",
            "Latest validation",
            "The report of the validation that was started last, or how far it is",
            lambda context: _compact(runs.latest_validation(context)),
            version=runs.latest_version,
        ),
    )
}

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "schedules",
            "id",
            "One schedule",
            "One schedule in full, with its next execution",
            _tool_part("get_schedule_status", "schedule_id"),
            _listed("get_schedule_status", "schedules", "id", include_inactive=True, limit=500),
            frozenset({Kind.SCHEDULES}),
        ),
        Family(
            "modes",
            "slug",
            "One mode",
            "One mode with its instructions",
            _tool_part("get_mode_capabilities", "slug"),
            slugs,
            frozenset({Kind.MODES}),
        ),
        Family(
            "todo",
            "section",
            "One section of the plan",
            "All tasks under one heading of TODO.md",
            _tool_part("get_todo_status", "section", include_completed=True),
            _listed("get_todo_status", "sections", "section", limit=1),
            frozenset({Kind.TODO}),
        ),
        Family(
            "memory",
            "section",
            "One section of the memory",
            "The newest entries of one section",
            _tool_part("get_persistent_memory", "section"),
            lambda _: list(SECTIONS),
            frozenset({Kind.MEMORY}),
        ),
        Family(
            "diagnostics",
            "path",
            "Diagnostics of one file",
            "What is wrong in one state file, by line",
            _diagnostics_of,
            paths,
            _EVERYTHING,
        ),
        Family(
            "runs",
            "id",
            "One run",
            "A delegated task or a validation, as it stands now",
            lambda context, run_id: _compact(runs.told(context, run_id)),
            runs.ids,
            version=runs.version,
        ),
    )
}
