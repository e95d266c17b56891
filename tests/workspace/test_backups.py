"""Earlier contents of files: kept by content, verified, pruned."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import backups as backups_module
from sidecar.workspace.backups import Backups
from sidecar.workspace.store import Store
from sidecar.workspace.workspace import Workspace


def blobs(root: Path) -> list[Path]:
    return [path for path in (root / ".sidecar/backups/blobs").rglob("*") if path.is_file()]


def kept(workspace: Workspace, root: Path) -> list[str]:
    """The digests of what is kept, in files and in the index."""
    with workspace.store.view() as records:
        return [path.name for path in blobs(root)] + records.keys("backup-bytes")


def settled(workspace: Workspace) -> None:
    """Make backups of other files until the small contents have become files."""
    for number in range(3_000):
        workspace.backups.add(f"other{number % 100}.txt", b"%d" % number, reason="write")
        with workspace.store.view() as records:
            if not records.keys("backup-bytes"):
                return
    pytest.fail("3,000 backups settled nothing")


def test_equal_content_is_kept_once_and_listed_twice(workspace: Workspace, root: Path):
    first = workspace.backups.add("a.txt", b"same", reason="write")
    second = workspace.backups.add("b/a.txt", b"same", reason="write")

    assert first.id != second.id
    assert first.blob == second.blob
    assert kept(workspace, root) == [first.sha256]
    assert [b.id for b in workspace.backups.list("a.txt")] == [first.id]
    assert workspace.backups.read(second) == b"same"


def test_a_backup_of_another_file_is_not_found(workspace: Workspace):
    other = workspace.backups.add("config_dev", b"dev", reason="write")

    with pytest.raises(SidecarError) as refused:
        workspace.backups.find("config", other.id)

    assert refused.value.code is ErrorCode.NOT_FOUND


def test_bytes_of_the_index_that_were_changed_are_not_restored(workspace: Workspace):
    backup = workspace.backups.add("a.txt", b"good", reason="write")
    with workspace.store.transaction() as records:
        records.put("backup-bytes", backup.sha256, {"base64": "ZXZpbA=="})

    with pytest.raises(SidecarError) as refused:
        workspace.backups.read(backup)

    assert refused.value.code is ErrorCode.CORRUPT


def test_a_blob_that_was_changed_is_not_restored(workspace: Workspace, root: Path):
    good = b"good" * 20_000
    backup = workspace.backups.add("a.txt", good, reason="write")
    blobs(root)[0].write_bytes(b"evil")

    with pytest.raises(SidecarError) as refused:
        workspace.backups.read(backup)

    assert refused.value.code is ErrorCode.CORRUPT
    workspace.backups.add("a.txt", good, reason="write")
    assert workspace.backups.read(backup) == good


def test_small_contents_become_files_in_time_and_are_read_before_and_after_and_mended(
    workspace: Workspace, root: Path
):
    backup = workspace.backups.add("a.txt", b"good", reason="write")
    assert workspace.backups.read(backup) == b"good"

    settled(workspace)

    assert workspace.state.read(backup.blob) == b"good"
    assert workspace.backups.read(backup) == b"good"
    (root / ".sidecar" / backup.blob).write_bytes(b"evil")
    with pytest.raises(SidecarError):
        workspace.backups.read(backup)
    workspace.backups.add("b.txt", b"good", reason="write")
    assert workspace.backups.read(backup) == b"good"


def test_what_somebody_asked_for_is_a_file_at_once(workspace: Workspace, root: Path):
    workspace.backups.add("a.txt", b"good", reason="write")

    asked = workspace.backups.add("a.txt", b"good", reason="backup_file")

    assert (root / ".sidecar" / asked.blob).read_bytes() == b"good"
    assert kept(workspace, root) == [asked.sha256]


def test_what_another_sidecar_keeps_of_the_same_file_counts_too(workspace: Workspace, root: Path):
    other = Backups(
        workspace.state,
        Store(lambda: workspace.user.workspace_state(workspace.root) / "records.sqlite"),
    )
    for number in range(backups_module.KEPT_PER_FILE):
        each = (workspace.backups, other)[number % 2]
        each.add("a.txt", b"%d" % (number % 7), reason="write")
    newest = [other.add("a.txt", b"new%d" % number, reason="write") for number in range(3)]

    listed = workspace.backups.list("a.txt")

    assert [backup.id for backup in listed[:3]] == [backup.id for backup in reversed(newest)]
    assert len(listed) == backups_module.KEPT_PER_FILE
    assert {backup.sha256 for backup in listed} == set(kept(workspace, root))
    assert all(workspace.backups.read(backup) for backup in listed)


def test_a_planted_manifest_is_not_believed(workspace: Workspace, root: Path):
    folder = root / ".sidecar/backups"
    folder.mkdir(parents=True)
    (folder / "manifest.jsonl").write_text('{"id":"x","path":"a.txt","sha256":"0"}\n')

    assert workspace.backups.list("a.txt") == []


def test_a_state_folder_that_is_a_link_is_not_written_through(workspace: Workspace, root: Path):
    (root.parent / "elsewhere").mkdir()
    (root / ".sidecar").symlink_to("../elsewhere")

    with pytest.raises(SidecarError):
        workspace.backups.add("a.txt", b"x", reason="write")

    assert list((root.parent / "elsewhere").iterdir()) == []


def test_only_the_newest_automatic_backups_are_kept_and_all_explicit_ones(
    workspace: Workspace, root: Path
):
    asked = workspace.backups.add("a.txt", b"explicit", reason="backup_file")
    for number in range(backups_module.KEPT_PER_FILE + 5):
        workspace.backups.add("a.txt", b"%d" % number, reason="write")

    listed = workspace.backups.list("a.txt")

    assert len(listed) == backups_module.KEPT_PER_FILE + 1
    assert listed[-1].id == asked.id
    assert sorted(kept(workspace, root)) == sorted(backup.sha256 for backup in listed)
    assert workspace.backups.read(asked) == b"explicit"


def test_all_backups_together_stay_below_their_cap(workspace: Workspace, root: Path):
    small = Backups(workspace.state, workspace.store, most_bytes=10_000)
    asked = small.add("kept.txt", b"k" * 3000, reason="backup_file")
    for number in range(40):
        small.add(f"{number % 4}.txt", b"%04d" % number * 250, reason="write")

    listed = [b for name in ("kept.txt", *map("{}.txt".format, range(4))) for b in small.list(name)]
    assert {backup.sha256 for backup in listed} == set(kept(workspace, root))
    assert sum({backup.sha256: backup.size for backup in listed}.values()) <= 10_000
    assert small.read(asked) == b"k" * 3000
    assert all(small.list(f"{number}.txt") for number in range(4))


def test_the_manifest_for_people_is_made_anew_when_it_has_grown_too_long(
    workspace: Workspace, root: Path
):
    workspace.backups.add("a.txt", b"1", reason="write")
    manifest = root / ".sidecar/backups/manifest.jsonl"
    manifest.write_bytes(b"x" * backups_module.MANIFEST_BYTES)

    made = [workspace.backups.add("a.txt", b"2", reason="write")]
    while manifest.stat().st_size > backups_module.MANIFEST_BYTES:
        made.append(workspace.backups.add("a.txt", b"2", reason="write"))
        assert len(made) < 3_000

    kept_ones = [backup.id for backup in reversed(workspace.backups.list("a.txt"))]
    assert [json.loads(line)["id"] for line in manifest.read_text().splitlines()] == kept_ones
    assert made[-1].id in kept_ones


def test_the_time_of_a_backup_is_that_of_its_making(workspace: Workspace):
    backup = workspace.backups.add("a.txt", b"x", reason="write")

    assert abs(datetime.now(UTC) - backup.at) < timedelta(minutes=1)


def test_the_first_write_of_state_says_who_owns_it(workspace: Workspace, root: Path):
    workspace.state.write("reports/latest.json", b"{}")

    assert (root / ".sidecar/reports/latest.json").read_bytes() == b"{}"
    assert "may it be deleted" in (root / ".sidecar/README.md").read_text()
    assert (root / ".sidecar/.gitignore").read_text() == "*\n"


def test_state_names_cannot_leave_the_state_folder(workspace: Workspace):
    for name in ("../a.txt", "/etc/passwd", "a/../../b"):
        with pytest.raises(SidecarError):
            workspace.state.write(name, b"x")
