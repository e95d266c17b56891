"""What is kept in a workspace: said truly in its README, bounded, and refused where it is newer."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services import registry, validation_runs
from sidecar.services.calling import called
from sidecar.services.context import Context
from sidecar.workspace import backups, journal, logs
from sidecar.workspace.state import README, SCHEMA_VERSION
from sidecar.workspace.user_dirs import REGISTRY_VERSION
from sidecar.workspace.workspace import Workspace


def test_the_readme_names_every_folder_and_every_bound(context: Context):
    calls = [
        ("write_project_file", {"file_path": "TODO.md", "content": "# Plan\n"}),
        ("backup_file", {"file_path": "TODO.md"}),
        ("run_validation", {"validation_type": "orchestrator_files"}),
        ("error_recovery", {"operation": "x", "error_context": {"type": "failed"}}),
        ("sync_environment", {"sync_type": "full"}),
    ]
    for name, arguments in calls:
        called(registry.TOOLS[name], context, arguments)

    folder = context.workspace.root / ".sidecar"
    told = set(re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE))
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    assert found <= told
    assert (folder / "README.md").read_text() == README
    mebibyte = 1024 * 1024
    assert f"the newest {validation_runs.KEPT} " in README
    assert f"{logs.FILES_KEPT} files of {logs.FILE_BYTES // mebibyte} MiB" in README
    assert f"the newest {backups.KEPT_PER_FILE}, for {backups.KEPT_FOR.days} days" in README
    assert f"take {backups.MOST_BYTES // mebibyte} MiB at most" in README
    segments = f"{journal.SEGMENTS_KEPT + 1} files of {journal.SEGMENT_BYTES // mebibyte} MiB"
    assert segments in README


def test_a_state_folder_of_a_newer_version_is_refused_and_left_alone(
    workspace: Workspace, root: Path
):
    newer = README.replace(f"version: {SCHEMA_VERSION}.", f"version: {SCHEMA_VERSION + 1}.")
    (root / ".sidecar").mkdir()
    (root / ".sidecar/README.md").write_text(newer)
    (root / "a.txt").write_text("old")

    with pytest.raises(SidecarError) as refused:
        workspace.files.write("a.txt", b"new")

    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert "newer sidecar" in str(refused.value)
    assert (root / "a.txt").read_text() == "old"
    assert [path.name for path in (root / ".sidecar").iterdir()] == ["README.md"]


def test_records_of_a_newer_version_are_refused_and_left_alone(
    workspace: Workspace, user_directory: Path
):
    with workspace.store.transaction() as records:
        records.put("c", "k", {"v": 1})
    workspace.close()
    (file,) = user_directory.rglob("records.sqlite")
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    for _ in range(2):
        with pytest.raises(SidecarError) as refused, workspace.store.transaction():
            pass
        assert refused.value.code is ErrorCode.UNAVAILABLE
        assert "schema 99" in str(refused.value)

    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()


def test_a_list_of_workspaces_of_a_newer_version_is_refused(root: Path, user_directory: Path):
    (user_directory / "state").mkdir(exist_ok=True)
    listed = {"version": REGISTRY_VERSION + 1, "workspaces": []}
    (user_directory / "state/workspaces.json").write_text(json.dumps(listed))

    with pytest.raises(SidecarError) as refused:
        Workspace.open(root).files.write("a.txt", b"x")

    assert refused.value.code is ErrorCode.UNAVAILABLE


def test_the_journal_is_rotated_and_its_size_is_bounded(workspace: Workspace, user_directory: Path):
    workspace.files.write("a.txt", b"0")
    (file,) = user_directory.rglob("journal.jsonl")
    for number in range(journal.SEGMENTS_KEPT + 3):
        with file.open("ab") as segment:
            segment.truncate(journal.SEGMENT_BYTES + 1)
        workspace.files.write("a.txt", b"%d" % number)
        workspace.files.write("a.txt", b"%d again" % number)

    segments = list(file.parent.glob("journal*.jsonl"))
    assert len(segments) == journal.SEGMENTS_KEPT + 1
    assert workspace.journal.entries(path="a.txt")


def test_old_runs_of_validations_are_forgotten(context: Context):
    for _ in range(validation_runs.KEPT + 5):
        run = validation_runs.create(context, {})
        run.save("report.json", {})

    assert len(validation_runs.ids(context)) == validation_runs.KEPT
    assert validation_runs.latest_id(context) == run.id


def test_forgetting_a_folder_follows_no_link(workspace: Workspace, root: Path):
    workspace.state.write("validation/1/a/b.txt", b"x")
    (root / "kept.txt").write_text("kept")
    (root / ".sidecar/validation/1/link").symlink_to(root)

    workspace.state.forget("validation/1")

    assert not (root / ".sidecar/validation/1").exists()
    assert (root / "kept.txt").read_text() == "kept"
