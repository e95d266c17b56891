"""What a rule is: a code, a severity, one function, and a docstring that is its page."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sidecar.domain.finding import Finding, Fix, Severity
from sidecar.domain.kind import Checked
from sidecar.domain.project import Project
from sidecar.domain.source import Span


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule applies; ``severity`` overrides the rule's own where the case decides it."""

    span: Span
    message: str
    fixes: tuple[Fix, ...] = ()
    severity: Severity | None = None


# The model's type differs by kind (ModesFile, SchedulesFile, …), hence Any.
Check = Callable[[Any, Project], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One check of one kind of file; ``also`` names further kinds that the same check reads."""

    code: str
    severity: Severity
    kind: Checked
    check: Check
    also: tuple[Checked, ...] = ()

    @property
    def name(self) -> str:
        """The rule's name, from its function: ``unknown_group`` is ``unknown-group``."""
        return self.check.__name__.replace("_", "-")

    @property
    def page(self) -> str:
        """The rule's documentation: its docstring, with ``Bad:`` and ``Good:`` blocks."""
        return inspect.cleandoc(self.check.__doc__ or "")

    def findings(self, file: object, project: Project) -> Iterator[Finding]:
        """Every place of the file where the rule applies."""
        for hit in self.check(file, project):
            severity = hit.severity or self.severity
            yield Finding(self.code, severity, hit.span, hit.message, hit.fixes)


def rule(code: str, severity: Severity, kind: Checked, *also: Checked) -> Callable[[Check], Rule]:
    """Declare a check as a rule of one kind of file; its examples are of the first kind."""
    return lambda check: Rule(code, severity, kind, check, also)
