"""Backing up and restoring files as agents do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.backups import BackupFile, RestoreFile, backup_file, restore_file
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace


@pytest.fixture
def here(tmp_path: Path) -> Context:
    folder = tmp_path / "ws"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    for name in ("x.txt", "a/x.txt", "b/x.txt", "config", "config_dev"):
        (folder / name).write_text(f"first {name}")
    (folder.parent / "secret.txt").write_text("SECRET")
    return Context(Workspace.open(folder), Settings())


def backup(context: Context, path: str, **arguments) -> BackupFile:
    return backup_file.call(context, {"file_path": path, **arguments})


def restore(context: Context, path: str, **arguments) -> RestoreFile:
    return restore_file.call(context, {"file_path": path, **arguments})


def text(context: Context, path: str) -> str:
    return (context.workspace.root / path).read_text()


def test_what_was_backed_up_comes_back_and_the_restore_can_be_undone(here: Context):
    kept = backup(here, "x.txt")
    (here.workspace.root / "x.txt").write_text("second")

    done = restore(here, "x.txt")
    assert (done.operation, done.restored_from) == ("restored", kept.backup_id)
    assert text(here, "x.txt") == "first x.txt"

    restore(here, "x.txt", backup_path=done.current_backup_created)
    assert text(here, "x.txt") == "second"


def test_files_of_one_name_in_two_folders_never_mix(here: Context):
    for path in ("a/x.txt", "b/x.txt", "config", "config_dev"):
        backup(here, path, backup_name="same", include_timestamp=False)
        (here.workspace.root / path).write_text("changed")

    for path in ("a/x.txt", "b/x.txt", "config", "config_dev"):
        restore(here, path)
        assert text(here, path) == f"first {path}"


def test_three_backups_at_once_are_three(here: Context):
    ids = {backup(here, "x.txt", backup_name="n").backup_id for _ in range(3)}

    assert len(ids) == 3
    assert restore(here, "x.txt", list=True).total == 3


@pytest.mark.parametrize("which", ["id", "file", "path"])
def test_a_backup_is_found_by_id_name_or_path(here: Context, which: str):
    kept = backup(here, "x.txt", backup_name="named", backup_directory="group")
    (here.workspace.root / "x.txt").write_text("second")

    restore(here, "x.txt", backup_path=getattr(kept, f"backup_{which}"))

    assert text(here, "x.txt") == "first x.txt"


@pytest.mark.parametrize(
    "arguments",
    [
        {"backup_name": "../../x"},
        {"backup_name": "/tmp/x"},
        {"backup_directory": "../ws-evil"},
        {"backup_directory": "/tmp"},
    ],
)
def test_names_and_groups_cannot_leave_the_backup_folder(here: Context, arguments: dict):
    with pytest.raises(SidecarError) as refused:
        backup(here, "x.txt", **arguments)

    assert refused.value.code is ErrorCode.PATH_OUTSIDE


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/passwd", "config_dev"])
def test_only_backups_are_restored_from(here: Context, path: str):
    backup(here, "x.txt")

    with pytest.raises(SidecarError) as refused:
        restore(here, "x.txt", backup_path=path)

    assert refused.value.code is ErrorCode.PATH_OUTSIDE
    assert text(here, "x.txt") == "first x.txt"


def test_another_files_backup_is_not_restored(here: Context):
    other = backup(here, "config_dev")

    for which in (other.backup_id, other.backup_path):
        with pytest.raises(SidecarError) as refused:
            restore(here, "config", backup_path=which)
        assert refused.value.code is ErrorCode.NOT_FOUND


def test_a_blob_that_was_changed_is_refused_and_the_file_kept(here: Context):
    (here.workspace.root / "x.txt").write_text("first\n" * 20_000)
    kept = backup(here, "x.txt")
    (here.workspace.root / kept.backup_path).write_text("evil")
    (here.workspace.root / "x.txt").write_text("second")

    with pytest.raises(SidecarError) as refused:
        restore(here, "x.txt")

    assert refused.value.code is ErrorCode.CORRUPT
    assert text(here, "x.txt") == "second"


def test_a_time_chooses_the_newest_backup_up_to_then(here: Context):
    first = backup(here, "x.txt")
    between = datetime.now(UTC)
    (here.workspace.root / "x.txt").write_text("second")
    backup(here, "x.txt")

    done = restore(here, "x.txt", at=between.isoformat())

    assert done.restored_from == first.backup_id
    with pytest.raises(SidecarError) as refused:
        restore(here, "x.txt", at=(between - timedelta(days=1)).isoformat())
    assert refused.value.code is ErrorCode.NOT_FOUND


def test_a_deleted_file_comes_back(here: Context):
    backup(here, "a/x.txt")
    (here.workspace.root / "a" / "x.txt").unlink()
    (here.workspace.root / "a").rmdir()

    restore(here, "a/x.txt")

    assert text(here, "a/x.txt") == "first a/x.txt"


@pytest.mark.parametrize("path", ["missing.txt", "a", "../secret.txt", ".env"])
def test_what_is_no_file_of_the_workspace_is_refused(here: Context, path: str):
    with pytest.raises(SidecarError):
        backup(here, path)
    with pytest.raises(SidecarError):
        restore(here, path)
