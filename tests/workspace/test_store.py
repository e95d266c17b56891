"""Durable records on the user's side, and whose workspace they are."""

from __future__ import annotations

import shutil
import stat
import threading
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace.user_dirs import UserDirs
from sidecar.workspace.workspace import Workspace


def test_a_transaction_that_fails_leaves_nothing(workspace: Workspace):
    with workspace.store.transaction() as records:
        records.put("tasks", "a", {"state": "queued"})

    def fail() -> None:
        with workspace.store.transaction() as records:
            records.put("tasks", "a", {"state": "done"})
            records.delete("tasks", "b")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    with workspace.store.transaction() as records:
        assert records.get("tasks", "a") == {"state": "queued"}
        assert records.get("tasks", "b") is None


def test_records_are_listed_by_key_and_prefix(workspace: Workspace):
    with workspace.store.transaction() as records:
        for key in ("b/2", "a/1", "a/2", "a"):
            records.put("c", key, {"key": key})
        assert [key for key, _ in records.items("c")] == ["a", "a/1", "a/2", "b/2"]
        assert [key for key, _ in records.items("c", prefix="a/")] == ["a/1", "a/2"]


def test_many_threads_lose_no_increment(workspace: Workspace):
    def work() -> None:
        for _ in range(20):
            with workspace.store.transaction() as records:
                count = (records.get("c", "n") or {"n": 0})["n"]
                records.put("c", "n", {"n": count + 1})

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with workspace.store.transaction() as records:
        assert records.get("c", "n") == {"n": 100}


def test_records_survive_closing_and_belong_to_one_workspace(root: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    first = Workspace.open(root)
    with first.store.transaction() as records:
        records.put("c", "k", {"v": 1})
    first.close()

    with Workspace.open(root).store.transaction() as records:
        assert records.get("c", "k") == {"v": 1}
    with Workspace.open(other).store.transaction() as records:
        assert records.get("c", "k") is None


def test_a_damaged_database_is_said_in_a_sentence(workspace: Workspace, user_directory: Path):
    with workspace.store.transaction():
        pass
    workspace.close()
    for file in user_directory.rglob("records.sqlite"):
        file.write_bytes(b"not a database" * 1000)

    with pytest.raises(SidecarError) as refused, workspace.store.transaction():
        pass

    assert refused.value.code is ErrorCode.IO


def test_a_workspace_keeps_its_id_and_a_folder_made_anew_gets_another(root: Path):
    user = UserDirs.locate()
    link = root.parent / "link"
    link.symlink_to(root)

    first = user.workspace_id(root)
    assert user.workspace_id(root) == user.workspace_id(link) == first

    root.rename(root.parent / "old")
    shutil.copytree(root.parent / "old", root)
    assert user.workspace_id(root) != first


def test_the_runtime_folder_is_the_users_alone(root: Path):
    folder = UserDirs.locate().workspace_runtime(root)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert len(str(folder.name)) == 16


def test_sidecar_home_moves_every_folder_of_the_user(tmp_path: Path):
    dirs = UserDirs.locate({"SIDECAR_HOME": str(tmp_path)})

    assert {dirs.state.parent, dirs.runtime.parent, dirs.config.parent} == {tmp_path}
