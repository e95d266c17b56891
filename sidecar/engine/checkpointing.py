"""What the workspace held before a run, so that what the run broke can be put back.

In a git workspace a commit of the work tree on a private reference, with what git does not track
yet; elsewhere, and where nobody trusts the workspace, copies of the state files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.engine import snapshot
from sidecar.engine.git_objects import Blob, GitObjects
from sidecar.engine.snapshot import LINK, Seen, Snapshot
from sidecar.services import checkpoints
from sidecar.services.context import Context
from sidecar.workspace.content import load
from sidecar.workspace.user_dirs import private

COLLECTION = "run_checkpoints"
KEPT = 20
# Why a backup was made that a rollback restores from.
REASON = "run"


@dataclass(frozen=True)
class Checkpoint:
    """Where the contents before a run are: ``reference`` in git, else ``copies`` of state files."""

    name: str
    files: Snapshot
    git: GitObjects | None = None

    def keep(self, context: Context, path: str) -> None:
        """Make sure that a file's content before the run is among its backups; raises E_CORRUPT.

        Nothing is done where the checkpoint does not hold it.
        """
        seen = self.files.files.get(path)
        backups = context.workspace.backups
        if seen is None or self.git is None or not seen.oid or seen.sha256.startswith(LINK):
            return
        if any(each.sha256 == seen.sha256 for each in backups.list(path)):
            return
        data = self.git.content(seen.oid)
        if sha256(data).hexdigest() != seen.sha256:
            message = f"The checkpoint of `{path}` does not hold the bytes that were put there."
            raise SidecarError(ErrorCode.CORRUPT, message)
        mode = 0o755 if seen.executable else 0o644
        backups.add(path, data, reason=REASON, mode=mode)


def look(context: Context, known: Snapshot) -> tuple[Snapshot, GitObjects | None]:
    """The workspace's files now, and the git that would keep them."""
    git = GitObjects.of(context)
    paths = list(git.paths()) if git else []
    if git is None or not paths:
        # A workspace inside an ignored folder of somebody's repository is none of git's.
        return snapshot.take(context.workspace, snapshot.walked(context.workspace), known), None
    return snapshot.take(context.workspace, paths, known, oid=git.hash_of), git


def take(context: Context, name: str, seen: Snapshot, git: GitObjects | None) -> dict[str, Any]:
    """Keep the workspace as it was just seen under a run's name; what it is, as JSON.

    Durable on return. Taken again under the same name it replaces the one before. Raises
    SidecarError, E_CONFLICT where a file has changed since it was seen.
    """
    if git is None:
        made: dict[str, Any] = {"kind": "copies", "id": checkpoints.take(context, name).id}
    else:
        _commit(context, git, name, seen)
        made = {"kind": "git", "id": name}
    save(context, name, "checkpoint", seen)
    _remember(context, name, made["kind"], git)
    return made | {"files": len(seen.files), "complete": seen.complete}


def find(context: Context, name: str) -> Checkpoint | None:
    """The checkpoint of a run, None where it has none, or it is gone."""
    with context.workspace.store.transaction() as records:
        value = records.get(COLLECTION, name)
    files = load_saved(context, name, "checkpoint")
    if value is None or files is None:
        return None
    return Checkpoint(name, files, GitObjects.of(context) if value["kind"] == "git" else None)


def save(context: Context, name: str, what: str, seen: Snapshot) -> None:
    """Keep a snapshot of a run on the user's side."""
    folder = private(private(_folder(context, name).parent) / name)
    temporary = folder / f".{what}.{os.getpid()}"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(seen.to_json())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / f"{what}.json")


def load_saved(context: Context, name: str, what: str) -> Snapshot | None:
    """A snapshot that was kept, None where there is none."""
    try:
        return Snapshot.from_json((_folder(context, name) / f"{what}.json").read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def saved_at(context: Context, name: str, what: str) -> datetime:
    """When a snapshot was kept, by the clock that stamps files; now, where there is none."""
    try:
        seconds = (_folder(context, name) / f"{what}.json").stat().st_mtime
    except OSError:
        return context.clock()
    return datetime.fromtimestamp(seconds, UTC)


def forget(context: Context, name: str, *, checkpoint: bool = False) -> None:
    """Delete what was kept of a run that is over; its checkpoint stays unless it is named."""
    folder = _folder(context, name)
    for file in folder.glob("*"):
        if checkpoint or file.name != "checkpoint.json":
            file.unlink(missing_ok=True)
    with suppress(OSError):  # there is none, or the checkpoint is in it
        folder.rmdir()


def _folder(context: Context, name: str) -> Path:
    """The run's folder on the user's side, which need not exist."""
    return context.workspace.user.workspace_state(context.workspace.root) / "runs" / name


def _commit(context: Context, git: GitObjects, name: str, seen: Snapshot) -> None:
    files = {path: each for path, each in seen.files.items() if each.oid}
    missing = git.missing({each.oid for each in files.values()})
    lacking: dict[str, str] = {}
    for path, each in files.items():
        if each.oid in missing:
            lacking.setdefault(each.oid, path)
    contents = _contents(context, git, files, lacking)
    blobs = (Blob(path, _mode(each), each.oid) for path, each in files.items())
    git.commit(name, blobs, contents, at=int(context.clock().timestamp()))


def _contents(
    context: Context, git: GitObjects, files: dict[str, Seen], lacking: dict[str, str]
) -> Iterator[bytes]:
    for oid, path in lacking.items():
        sha = files[path].sha256
        if sha.startswith(LINK):
            yield os.fsencode(sha.partition(":")[2])
            continue
        data = load(context.workspace.files.tree, path, snapshot.MAX_BYTES)[0].data
        named = git.hash_of(len(data))
        named.update(data)
        if named.hexdigest() != oid:
            message = f"`{path}` was changed while the checkpoint was taken."
            raise SidecarError(ErrorCode.CONFLICT, message, hint="Take it again.")
        yield data


def _mode(seen: Seen) -> str:
    if seen.sha256.startswith(LINK):
        return "120000"
    return "100755" if seen.executable else "100644"


def _remember(context: Context, name: str, kind: str, git: GitObjects | None) -> None:
    """Index the checkpoint, and let go of the oldest beyond the newest few."""
    at = context.clock().isoformat(timespec="milliseconds")
    with context.workspace.store.transaction() as records:
        records.put(COLLECTION, name, {"at": at, "kind": kind})
        known = sorted((each["at"], key, each["kind"]) for key, each in records.items(COLLECTION))
        old = known[:-KEPT]
        for _, key, _ in old:
            records.delete(COLLECTION, key)
    for _, key, _ in old:
        forget(context, key, checkpoint=True)
    if git is not None:
        git.forget(key for _, key, was in old if was == "git")
