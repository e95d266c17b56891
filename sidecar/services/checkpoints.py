"""Checkpoints: what the state files held at one moment, kept so that they can be put back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from pydantic import BaseModel

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.services.context import Context

COLLECTION = "checkpoints"
REASON = "checkpoint"
KEPT = 200


class Kept(BaseModel):
    """One file of a checkpoint; without a backup it did not exist."""

    path: str
    sha256: str | None = None
    backup_id: str | None = None


class Checkpoint(BaseModel):
    """A manifest of files at one moment."""

    id: str
    operation: str
    at: str
    files: list[Kept]


def take(context: Context, operation: str, paths: Iterable[str] = ()) -> Checkpoint:
    """Keep all state files and the given paths as they are on disk; durable on return."""
    now = context.clock()
    known = [context.workspace.path(kind, context.settings.product) for kind in Kind]
    wanted = dict.fromkeys([*known, *paths])
    checkpoint = Checkpoint(
        id=f"checkpoint-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        operation=operation,
        at=now.isoformat(timespec="seconds"),
        files=[_keep(context, path) for path in wanted],
    )
    with context.workspace.store.transaction() as transaction:
        transaction.put(COLLECTION, checkpoint.id, checkpoint.model_dump())
        for key, _ in transaction.items(COLLECTION)[:-KEPT]:
            transaction.delete(COLLECTION, key)
    return checkpoint


def find(context: Context, checkpoint_id: str) -> Checkpoint:
    """One checkpoint; raises E_NOT_FOUND."""
    with context.workspace.store.transaction() as transaction:
        value = transaction.get(COLLECTION, checkpoint_id)
    if value is None:
        message = f"There is no checkpoint `{checkpoint_id}`."
        hint = "Leave checkpoint_id out to go back to what the operation found."
        raise SidecarError(ErrorCode.NOT_FOUND, message, hint=hint)
    return Checkpoint.model_validate(value)


def _keep(context: Context, path: str) -> Kept:
    workspace = context.workspace
    if not workspace.files.exists(path):
        return Kept(path=path)
    content = workspace.files.read(path)
    same = (each for each in workspace.backups.list(path) if each.sha256 == content.sha256)
    backup = next((each for each in same if each.reason == REASON), None)
    if backup is None:
        backup = workspace.backups.add(path, content.data, reason=REASON, mode=content.mode)
    return Kept(path=path, sha256=content.sha256, backup_id=backup.id)
