"""Checks of one mode at a time: a mode that has not changed is not checked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix
from sidecar.domain.kept import once
from sidecar.domain.modes import Mode, ModesFile
from sidecar.domain.project import Project
from sidecar.domain.source import Span
from sidecar.rules.rule import Check, Hit

ModeCheck = Callable[[ModesFile, Mode], Iterator[Hit]]


def each_mode(check: ModeCheck) -> Check:
    """A check of every mode that is read as it is meant, by a check of one.

    That may look at the mode's text, values and index and at the product, and at nothing else of
    the file.
    """

    @wraps(check)
    def every(file: ModesFile, _: Project) -> Iterator[Hit]:
        name, product = check.__name__, file.profile.name
        for mode, written in zip(file.intact, file.written, strict=True):
            key = (product, mode.index, written)
            start, hits = once(mode.node, name, key, partial(_hits, check, file, mode))
            for hit in hits:
                yield _moved(hit, mode.node.span.start - start)

    return every


def _hits(check: ModeCheck, file: ModesFile, mode: Mode) -> tuple[int, tuple[Hit, ...]]:
    """Where the rule applies in a mode, and where that begins."""
    return mode.node.span.start, tuple(check(file, mode))


def _moved(hit: Hit, by: int) -> Hit:
    if not by:
        return hit
    fixes = tuple(
        Fix(fix.title, tuple(Edit(_span(e.span, by), e.text) for e in fix.edits), fix.safe)
        for fix in hit.fixes
    )
    return Hit(_span(hit.span, by), hit.message, fixes, hit.severity)


def _span(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
