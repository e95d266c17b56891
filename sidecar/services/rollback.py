"""Put files back as a checkpoint kept them, or as the last call of an operation found them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.checkpoints import Checkpoint
from sidecar.services.context import Context
from sidecar.services.unsaved import refuse_unsaved
from sidecar.workspace.journal import Entry, Mutation, present_origin

REASON = "rollback"
# So begins what the journal calls a record of ours that is no file.
RECORDS = "records:"


@dataclass(frozen=True)
class Step:
    """A file to put back: the bytes it had, and the bytes it should have now if nobody meddled."""

    path: str
    before: str | None
    after: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    path: str
    done: bool
    told: str


def to_checkpoint(checkpoint: Checkpoint) -> list[Step]:
    """The steps back to a checkpoint, whatever happened since."""
    return [Step(kept.path, kept.sha256) for kept in checkpoint.files]


def of_last_call(context: Context, operation: str) -> list[Step]:
    """The steps that undo the last call of a tool; raises E_NOT_FOUND where none is journaled."""
    entries = [
        entry
        for entry in context.workspace.journal.entries(tool=operation)
        if not entry.path.startswith(RECORDS)
    ]
    if not entries:
        raise SidecarError(
            ErrorCode.NOT_FOUND,
            f"Nothing that `{operation}` changed is in the journal.",
            hint="Give the name of the tool that made the change, or error_context.checkpoint_id.",
        )
    newest = entries[-1]
    call = list(takewhile(lambda entry: _same_call(entry, newest), reversed(entries)))[::-1]
    first = {entry.path: entry for entry in reversed(call)}
    last = {entry.path: entry for entry in call}
    return [Step(path, entry.before, last[path].after) for path, entry in first.items()]


def _same_call(one: Mutation, other: Mutation) -> bool:
    return (one.client, one.arguments_hash) == (other.client, other.arguments_hash)


def apply(context: Context, step: Step, *, force: bool, remove_created: bool = False) -> Outcome:
    """Put one file back and verify it; a file that was changed since is kept unless ``force``.

    With ``remove_created`` a file that was not there before goes, and a backup of it stays.
    """
    files = context.workspace.files
    exists = files.exists(step.path)
    current = files.read(step.path).sha256 if exists else None
    if current == step.before:
        return Outcome(step.path, done=True, told="is as it was")
    refuse_unsaved(context.workspace, step.path, files.read(step.path) if exists else None)
    if step.before is None and remove_created:
        return _removed(context, step)
    if step.before is None:
        told = "was created by it and is kept; a person may delete it"
        return Outcome(step.path, done=False, told=told)
    if not force and current != step.after:
        return Outcome(step.path, done=False, told="was changed since and is kept")
    backups = context.workspace.backups
    backup = next((each for each in backups.list(step.path) if each.sha256 == step.before), None)
    if backup is None:
        return Outcome(step.path, done=False, told="has no backup of its earlier content")
    data = backups.read(backup)
    written = files.write(step.path, data, if_match=current, backup=REASON)
    verified = files.read(step.path).sha256 == step.before
    undo = f"; undo with backup {written.backup_id}" if written.backup_id else ""
    told = f"restored and verified{undo}" if verified else "was changed while it was restored"
    return Outcome(step.path, done=verified, told=told)


def _removed(context: Context, step: Step) -> Outcome:
    """Delete a file that the run created, if it still is what the run left."""
    files, backups = context.workspace.files, context.workspace.backups
    real = files.locate(step.path)
    folder, _, name = real.rpartition("/")
    with files.locks.hold(real):
        content = files.read(step.path)
        if content.sha256 != step.after:
            return Outcome(step.path, done=False, told="was changed since and is kept")
        backup = backups.add(real, content.data, reason=REASON, mode=content.mode)
        with files.tree.directory(folder) as directory:
            directory.remove(name)
            directory.sync()
    entry = Entry(present_origin(), REASON, real, step.after, None, backup.id)
    context.workspace.journal.begin([entry]).wait()
    return Outcome(step.path, done=True, told=f"removed; undo with backup {backup.id}")
