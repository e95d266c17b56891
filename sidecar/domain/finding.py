"""What is wrong, where, and what would mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.domain.edit import Edit
from sidecar.domain.source import Span


class Severity(StrEnum):
    """How much a finding matters; ``rank`` orders them, 0 is the worst."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    HINT = "hint"

    @property
    def rank(self) -> int:
        """0 for an error up to 3 for a hint."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Fix:
    """A change of the same file that removes a finding; a safe one may be applied unseen."""

    title: str
    edits: tuple[Edit, ...]
    safe: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's verdict at one place of one file."""

    code: str
    severity: Severity
    span: Span
    message: str
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True, slots=True)
class SyntaxProblem:
    """What a tolerant parser could not read; ``kind`` is a stable word such as ``bad-indent``."""

    span: Span
    message: str
    kind: str
    fixes: tuple[Fix, ...] = ()
