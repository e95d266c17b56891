"""Apply quick fixes to a text until none is left that may be applied unseen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.finding import Finding, Fix
from sidecar.domain.kind import Checked
from sidecar.domain.project import Project
from sidecar.services.diagnosis import diagnose
from sidecar.settings import Settings

# One fix may uncover the next; a text that still changes after this many rounds is left as it is.
MAX_ROUNDS = 20


@dataclass(frozen=True)
class Applied:
    """A fix that was applied: the rule's code and the fix's title."""

    code: str
    title: str


def fixed(
    kind: Checked,
    path: str,
    text: str,
    project: Project,
    settings: Settings,
    *,
    unsafe: bool = False,
) -> tuple[str, list[Applied]]:
    """The text after all applicable fixes, and which were applied, in order."""
    applied: list[Applied] = []
    seen = {text}
    for _ in range(MAX_ROUNDS):
        report = diagnose(kind, path, text, project, settings)
        chosen = list(_compatible(report.findings, unsafe=unsafe))
        after = apply_edits(text, [edit for _, fix in chosen for edit in fix.edits])
        if after in seen:
            break
        seen.add(after)
        text = after
        applied += [Applied(finding.code, fix.title) for finding, fix in chosen]
    return text, applied


def _compatible(findings: tuple[Finding, ...], *, unsafe: bool) -> Iterator[tuple[Finding, Fix]]:
    """The first applicable fix of each finding, as long as none touches what another changes."""
    taken: list[Edit] = []
    for finding in findings:
        fix = next((fix for fix in finding.fixes if fix.safe or unsafe), None)
        if fix and fix.edits and not any(_touch(a, b) for a in fix.edits for b in taken):
            taken += fix.edits
            yield finding, fix


def _touch(one: Edit, other: Edit) -> bool:
    return one.span.start <= other.span.end and other.span.start <= one.span.end
