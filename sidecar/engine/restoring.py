"""Putting back what a run changed, and nothing else: what somebody else changed is kept and told.

A change is the run's when it came while an attempt was at work, the file is still as that attempt
left it, and nobody who works in no run, or in another, is known to have written it meanwhile: no
editor, no command, no agent by our tools, no bookkeeping of ours. Whatever is replaced or removed
stays as a backup.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.timing import parse_time
from sidecar.engine.checkpointing import Checkpoint
from sidecar.engine.snapshot import LINK, Snapshot
from sidecar.services import rollback
from sidecar.services.context import Context

TOOL = "rollback of a run"
# These are written by whoever works here, line after line; nobody's lines are taken back.
_LOGS = (Kind.TIMING, Kind.MEMORY)


@dataclass(frozen=True)
class Touched:
    """What attempts made of one file; ``hindrance`` says why it cannot be called the run's own."""

    path: str
    before: str | None
    after: str | None
    hindrance: str = ""


def touched(context: Context, attempts: Iterable[dict[str, Any]]) -> list[Touched]:
    """Each file that attempts changed, from what the first found to what the last left.

    Each attempt tells its ``changes`` as [path, status, before, after] and, by path, why some of
    them are somebody else's: ``others``.
    """
    found: dict[str, Touched] = {}
    logs = {context.workspace.path(kind, context.settings.product) for kind in _LOGS}
    for attempt in attempts:
        others = attempt.get("others", {})
        for path, _, before, after in attempt.get("changes", ()):
            known = found.get(path)
            change = Touched(path, known.before if known else before, after)
            hindrance = known.hindrance if known else ""
            if known and known.after != before:
                hindrance = "was changed between two attempts and is kept"
            if path in logs:
                hindrance = "is a log of what happened and is kept"
            hindrance = hindrance or others.get(path, "")
            found[path] = replace(change, hindrance=hindrance)
    return [each for each in found.values() if each.before != each.after]


def restore(
    context: Context, checkpoint: Checkpoint, files: Iterable[Touched]
) -> list[dict[str, Any]]:
    """Put the files back; what became of each: ``path``, ``done`` and ``told``."""
    with context.workspace.journal.origin(tool=TOOL, client=context.client.name):
        return [asdict(_restored(context, checkpoint, each)) for each in files]


def _restored(context: Context, checkpoint: Checkpoint, file: Touched) -> rollback.Outcome:
    if file.hindrance:
        return rollback.Outcome(file.path, done=False, told=file.hindrance)
    if LINK in {(file.before or "").partition(":")[0], (file.after or "").partition(":")[0]}:
        return rollback.Outcome(file.path, done=False, told="is or was a link and is kept")
    try:
        checkpoint.keep(context, file.path)
        step = rollback.Step(file.path, file.before, file.after)
        outcome = rollback.apply(context, step, force=False, remove_created=True)
        if outcome.done and file.after is None:
            _executable_again(context, checkpoint, file.path)
    except SidecarError as error:
        return rollback.Outcome(file.path, done=False, told=str(error))
    return outcome


def _executable_again(context: Context, checkpoint: Checkpoint, path: str) -> None:
    """A file that was deleted comes back with the permission bits of a new one."""
    seen = checkpoint.files.files.get(path)
    if seen is None or not seen.executable or not hasattr(os, "fchmod"):
        return
    with suppress(OSError, SidecarError):
        descriptor = context.workspace.files.tree.open(context.workspace.files.locate(path))
        try:
            os.fchmod(descriptor, os.fstat(descriptor).st_mode | 0o111)
        finally:
            os.close(descriptor)


def others(context: Context, run_id: str, begin: datetime, end: datetime) -> dict[str, str]:
    """The files that somebody else is known to have written in that time, and how one knows."""
    return {**dict(_journaled(context, run_id, begin, end)), **dict(_edited(context, begin, end))}


def later(seen: Snapshot, end: datetime) -> dict[str, str]:
    """The files that were written when the run cannot have been at work any more."""
    limit = int(end.timestamp() * 1e9)
    told = "was changed after the run had ended and is kept"
    return {path: told for path, each in seen.files.items() if each.modified_ns > limit}


def _edited(context: Context, begin: datetime, end: datetime) -> Iterator[tuple[str, str]]:
    for path in context.workspace.overlays.paths():
        overlay = context.workspace.overlays.get(path)
        if overlay is not None and begin <= overlay.changed <= end:
            yield path, "was changed in an editor while the run worked and is kept"


def _journaled(
    context: Context, run_id: str, begin: datetime, end: datetime
) -> Iterator[tuple[str, str]]:
    for entry in context.workspace.journal.entries(since=begin):
        at = parse_time(entry.at)
        other = entry.run != run_id and entry.tool != TOOL
        if other and at is not None and begin <= at <= end:
            yield entry.path, "was changed by somebody else while the run worked and is kept"
