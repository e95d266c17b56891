"""Every rule there is, by an explicit list of modules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import ModuleType

from sidecar.domain.finding import Finding
from sidecar.domain.kind import Checked
from sidecar.domain.project import Project
from sidecar.rules import (
    across,
    memory,
    modes,
    modes_fields,
    modes_groups,
    modes_patterns,
    modes_syntax,
    schedules,
    schedules_fields,
    schedules_syntax,
    schedules_time,
    settings,
    timing,
    timing_values,
    todo,
)
from sidecar.rules.rule import Rule

MODULES: tuple[ModuleType, ...] = (
    modes,
    modes_fields,
    modes_groups,
    modes_patterns,
    modes_syntax,
    schedules,
    schedules_fields,
    schedules_syntax,
    schedules_time,
    todo,
    timing,
    timing_values,
    memory,
    settings,
    across,
)


def _declared(module: ModuleType) -> Iterator[Rule]:
    return (value for value in vars(module).values() if isinstance(value, Rule))


RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in sorted((r for m in MODULES for r in _declared(m)), key=lambda rule: rule.code)
}


# A file broken on every line tells nobody more by its thousandth finding of one rule.
MAX_FINDINGS_OF_A_RULE = 1000


def check(kind: Checked, file: object, project: Project) -> list[Finding]:
    """All findings of one file, ordered by place and code."""
    found = (
        finding
        for rule in RULES.values()
        if kind in (rule.kind, *rule.also)
        for finding in islice(rule.findings(file, project), MAX_FINDINGS_OF_A_RULE)
    )
    return sorted(found, key=lambda finding: (finding.span, finding.code))
