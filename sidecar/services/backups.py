"""Keeping a file's present content, and bringing back an earlier one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.services.tool import Category, ChangeRequest, ChangeResult, tool
from sidecar.services.unsaved import NOT_SAVED, Stored, present, update
from sidecar.workspace import paths
from sidecar.workspace.backups import FOLDER, Backup
from sidecar.workspace.files import Content

_LISTED = 50


class BackupFileRequest(ChangeRequest):
    """Which file to keep, and under what name."""

    file_path: Annotated[str, Field(description="File to back up.")]
    backup_name: Annotated[str | None, Field(description="Name to find it by.")] = None
    include_timestamp: Annotated[bool, Field(description="Add the time to the name.")] = True
    backup_directory: Annotated[
        str | None, Field(description="Group inside the backup folder.")
    ] = None


class BackupFile(ChangeResult):
    """The backup that was made."""

    source_file: str
    backup_id: str
    backup_file: str
    backup_path: str
    sha256: str
    size: int

    def summary(self) -> str:
        """What was kept, under which id."""
        return (
            f"{self.mood}Kept {self.source_file} ({self.size} bytes, sha256 {self.sha256}) as "
            f"{self.backup_id} (name {self.backup_file}) in {self.backup_path}."
        )


@tool(title="Back up a file", category=Category.FILESYSTEM)
def backup_file(context: Context, request: BackupFileRequest) -> BackupFile:
    """Keep a file's present content; nothing is ever overwritten, equal content is kept once.

    Example:
        {"file_path": "TODO.md", "backup_name": "before-cleanup", "include_timestamp": false}
        {"success": true, "source_file": "TODO.md", "backup_file": "TODO.md/before-cleanup"}
    """
    workspace = context.workspace
    content = workspace.files.read(request.file_path)
    name = _name(content.path, request, context.clock())
    backup = workspace.backups.add(
        content.path, content.data, reason="backup_file", mode=content.mode, name=name
    )
    return BackupFile(
        source_file=content.path,
        backup_id=backup.id,
        backup_file=name or backup.id,
        backup_path=f"{workspace.state.folder}/{backup.blob}",
        sha256=backup.sha256,
        size=backup.size,
    )


def _name(path: str, request: BackupFileRequest, now: datetime) -> str:
    """The name given to a backup: group, source and own name; raises E_PATH_OUTSIDE."""
    if request.backup_name is None and request.backup_directory is None:
        return ""
    group = paths.clean(request.backup_directory or "").removeprefix(f"{FOLDER}/")
    own = paths.clean(request.backup_name or "backup")
    stamp = f"-{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}" if request.include_timestamp else ""
    return "/".join(part for part in (group, path, f"{own}{stamp}") if part)


class RestoreFileRequest(ChangeRequest):
    """Which file to bring back, and from which backup."""

    file_path: Annotated[str, Field(description="File to restore.")]
    backup_path: Annotated[
        str | None, Field(description="Backup id, name or path; newest if none.")
    ] = None
    create_backup_before_restore: bool = True
    at: Annotated[datetime | None, Field(description="Newest backup up to then.")] = None
    list: Annotated[bool, Field(description="Only list the backups.")] = False


class BackupLine(BaseModel):
    """One backup of the file."""

    id: str
    created: datetime
    size: int
    sha256: str
    reason: str
    name: str


class RestoreFile(ChangeResult):
    """What the file was restored from, or the backups it has."""

    file_path: str
    operation: Literal["restored", "unchanged", "listed"]
    restored_from: str | None
    etag: str | None
    current_backup_created: str | None
    stored: Stored | None = None
    total: int
    backups: list[BackupLine]

    def summary(self) -> str:
        """What was restored and how to undo it, or the backups there are."""
        if self.operation == "listed":
            lines = [f"{b.id} {b.size} bytes {b.reason} {b.name}".rstrip() for b in self.backups]
            return "\n".join([f"{self.file_path}: {self.total} backups, newest first", *lines])
        undo = f" Undo: restore {self.current_backup_created}." * bool(self.current_backup_created)
        verb = "now has" if self.operation == "restored" else "already had"
        told = f"{self.mood}{self.file_path} {verb} the content of {self.restored_from}.{undo}"
        shown = self.stored == "editor" and self.operation == "restored" and not self.dry_run
        return f"{told} {NOT_SAVED}" if shown else told


@tool(title="Restore a file", category=Category.FILESYSTEM, destructive=True)
def restore_file(context: Context, request: RestoreFileRequest) -> RestoreFile:
    """Bring back an earlier content of a file from its own backups, verified by hash.

    Without backup_path or at: the newest backup that differs from the present content.

    Example:
        {"file_path": "TODO.md", "list": true}
        {"success": true, "operation": "listed", "file_path": "TODO.md"}
    """
    workspace = context.workspace
    path = workspace.files.locate(request.file_path)
    found = workspace.backups.list(path)
    if request.list:
        return _listed(path, found)
    current = present(context, path)
    backup = _chosen(context, path, request, found, current)
    data = workspace.backups.read(backup)
    reason = "restore" if request.create_backup_before_restore else None
    done = update(context, path, lambda _: data, backup=reason)
    written = done.written
    return RestoreFile(
        file_path=path,
        operation="restored" if written.changed else "unchanged",
        restored_from=backup.id,
        etag=written.sha256,
        current_backup_created=written.backup_id,
        stored=done.stored,
        total=len(found),
        backups=[],
    )


def _listed(path: str, found: list[Backup]) -> RestoreFile:
    lines = [
        BackupLine(
            id=b.id, created=b.at, size=b.size, sha256=b.sha256, reason=b.reason, name=b.name
        )
        for b in found[:_LISTED]
    ]
    return RestoreFile(
        file_path=path,
        operation="listed",
        restored_from=None,
        etag=None,
        current_backup_created=None,
        total=len(found),
        backups=lines,
    )


def _chosen(
    context: Context,
    path: str,
    request: RestoreFileRequest,
    found: list[Backup],
    current: Content | None,
) -> Backup:
    if request.backup_path is not None:
        return context.workspace.backups.find(path, _inside(context, request.backup_path))
    if request.at is not None:
        at = request.at if request.at.tzinfo else request.at.replace(tzinfo=UTC)
        found = [backup for backup in found if backup.at <= at]
    elif current is not None:
        found = [b for b in found if b.sha256 != current.sha256] or found
    if not found:
        message = f"`{path}` has no backup{' as old as that' if request.at else ''}."
        raise SidecarError(ErrorCode.NOT_FOUND, message, hint="Ask with list=true for all of them.")
    return found[0]


def _inside(context: Context, which: str) -> str:
    """The id, name or path of a backup; raises E_PATH_OUTSIDE for a path elsewhere."""
    name = paths.clean(which)
    workspace = context.workspace
    if not name.startswith(f"{workspace.state.folder}/") and workspace.files.exists(name):
        message = f"`{name}` lies outside the backup folder."
        raise SidecarError(ErrorCode.PATH_OUTSIDE, message, hint="Pass the id of a backup.")
    return name
