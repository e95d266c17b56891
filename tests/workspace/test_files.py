"""Reading, replacing, appending and walking the workspace's files."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import journal
from sidecar.workspace.files import Content
from sidecar.workspace.walking import Walk
from sidecar.workspace.workspace import Workspace


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_opening_and_reading_creates_nothing(
    workspace: Workspace, root: Path, user_directory: Path
):
    (root / "a.txt").write_text("a")

    assert workspace.files.read("a.txt").text == "a"
    assert list(workspace.files.walk())
    assert workspace.files.exists("a.txt")
    assert not workspace.files.exists("b.txt")

    assert everything(root) == ["a.txt"]
    assert everything(user_directory) == []


def test_a_write_keeps_mode_and_owner_and_leaves_no_temporary_file(
    workspace: Workspace, root: Path
):
    (root / "run.sh").write_text("old")
    (root / "run.sh").chmod(0o751)
    before = (root / "run.sh").stat()

    written = workspace.files.write("run.sh", b"new", backup=None)

    after = (root / "run.sh").stat()
    assert stat.S_IMODE(after.st_mode) == 0o751
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert (written.changed, written.size) == (True, 3)
    assert everything(root) == ["run.sh"]


def test_equal_content_is_not_written_again(workspace: Workspace, root: Path):
    (root / "a.txt").write_text("same")
    inode = (root / "a.txt").stat().st_ino

    written = workspace.files.write("a.txt", b"same")

    assert not written.changed
    assert (root / "a.txt").stat().st_ino == inode
    assert not (root / ".sidecar").exists()


def test_a_write_with_another_etag_is_refused_with_the_present_one(
    workspace: Workspace, root: Path
):
    (root / "a.txt").write_text("now")
    current = workspace.files.read("a.txt")

    with pytest.raises(SidecarError) as refused:
        workspace.files.write("a.txt", b"new", if_match="0" * 64)

    assert refused.value.code is ErrorCode.CONFLICT
    assert current.sha256 in refused.value.message
    assert workspace.files.write("a.txt", b"new", if_match=current.sha256).changed


def test_a_change_is_repeated_upon_what_a_foreign_writer_left(workspace: Workspace, root: Path):
    (root / "a.txt").write_text("1\n")
    calls = []

    def change(current: Content | None) -> bytes:
        assert current is not None
        calls.append(current.text)
        if len(calls) == 1:
            (root / "a.txt").write_text("1\nforeign\n")
        return current.data + b"ours\n"

    workspace.files.update("a.txt", change)

    assert calls == ["1\n", "1\nforeign\n"]
    assert (root / "a.txt").read_text() == "1\nforeign\nours\n"


def test_a_writer_that_never_rests_ends_in_a_conflict(workspace: Workspace, root: Path):
    (root / "a.txt").write_text("0")

    def change(current: Content | None) -> bytes:
        (root / "a.txt").write_text(f"{current.text if current else ''}x")
        return b"ours"

    with pytest.raises(SidecarError) as refused:
        workspace.files.update("a.txt", change, backup=None)

    assert refused.value.code is ErrorCode.CONFLICT
    assert set((root / "a.txt").read_text()) == {"0", "x"}
    assert everything(root) == ["a.txt"]


def test_a_file_created_meanwhile_is_built_upon(workspace: Workspace, root: Path):
    def change(current: Content | None) -> bytes:
        if current is None:
            (root / "a.txt").write_text("foreign ")
        return (current.data if current else b"") + b"ours"

    workspace.files.update("a.txt", change)

    assert (root / "a.txt").read_text() == "foreign ours"


def test_an_update_that_returns_none_writes_nothing(workspace: Workspace, root: Path):
    assert not workspace.files.update("a.txt", lambda _: None).changed
    assert everything(root) == []


def test_an_append_starts_on_a_line_of_its_own(workspace: Workspace, root: Path):
    (root / "log.tsv").write_bytes(b"head")

    workspace.files.append("log.tsv", b"one\n")
    workspace.files.append("log.tsv", b"two\n")

    assert (root / "log.tsv").read_bytes() == b"head\none\ntwo\n"


def test_missing_folders_are_created_only_when_asked(workspace: Workspace, root: Path):
    with pytest.raises(SidecarError) as refused:
        workspace.files.write("x/y.txt", b"", create_directories=False)
    assert refused.value.code is ErrorCode.NOT_FOUND

    workspace.files.write("x/y.txt", b"y")
    assert (root / "x" / "y.txt").read_bytes() == b"y"


def test_a_file_over_the_limit_is_refused_before_it_is_read(workspace: Workspace, root: Path):
    with (root / "big").open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(SidecarError) as refused:
        workspace.files.read("big")

    assert refused.value.code is ErrorCode.TOO_LARGE


def test_text_that_is_not_utf8_is_said_with_its_place(workspace: Workspace, root: Path):
    (root / "a.bin").write_bytes(b"ab\xff")
    content = workspace.files.read("a.bin")

    with pytest.raises(SidecarError, match="byte 2"):
        _ = content.text


def test_a_hard_linked_file_is_replaced_not_written_through(workspace: Workspace, root: Path):
    outside = root.parent / "outside.txt"
    outside.write_text("outside")
    (root / "inside.txt").hardlink_to(outside)

    workspace.files.write("inside.txt", b"changed")
    assert outside.read_text() == "outside"


def test_an_append_to_a_hard_linked_file_does_not_reach_the_other_name(
    workspace: Workspace, root: Path
):
    outside = root.parent / "outside.txt"
    outside.write_text("outside\n")
    (root / "inside.txt").hardlink_to(outside)

    workspace.files.append("inside.txt", b"added\n")

    assert outside.read_text() == "outside\n"
    assert (root / "inside.txt").read_text() == "outside\nadded\n"


def test_every_change_is_journaled_with_its_origin_and_hashes(workspace: Workspace):
    with journal.origin(tool="write_project_file", client="cline", arguments_hash="abc"):
        first = workspace.files.write("a.txt", b"1")
        second = workspace.files.write("a.txt", b"2")
    workspace.files.append("a.txt", b"3\n")

    entries = workspace.journal.entries()

    assert [entry.tool for entry in entries] == ["write_project_file", "write_project_file", ""]
    assert [(e.before, e.after) for e in entries[:2]] == [
        (None, first.sha256),
        (first.sha256, second.sha256),
    ]
    assert entries[1].backup_id == second.backup_id
    assert workspace.journal.entries(tool="write_project_file") == entries[:2]
    now = datetime.now(UTC)
    assert workspace.journal.entries(since=now - timedelta(hours=1)) == entries
    assert workspace.journal.entries(since=now + timedelta(hours=1)) == []


def test_the_editors_text_is_read_before_the_disks_when_asked(workspace: Workspace, root: Path):
    (root / "TODO.md").write_text("disk")
    workspace.overlays.put("TODO.md", "editor", 3)

    assert workspace.files.read("TODO.md").source == "disk"
    assert workspace.files.read("TODO.md", prefer_editor=True).text == "editor"
    workspace.overlays.put("TODO.md", "disk", 4)
    assert workspace.files.read("TODO.md", prefer_editor=True).source == "disk"


def tree(root: Path) -> None:
    for folder in ("src/deep", "build", "node_modules/x", ".git", ".roo"):
        (root / folder).mkdir(parents=True)
    for name in (
        "src/a.py", "src/deep/b.py", "src/deep/keep.log", "x.log", "build/out", ".env",
        ".git/config", ".roo/schedules.json", "node_modules/x/y.js", "README.md",
    ):  # fmt: skip
        (root / name).write_text("x")
    (root / ".gitignore").write_text("*.log\n/build/\nnode_modules\n")
    (root / "src" / "deep" / ".gitignore").write_text("!keep.log\n")
    (root / "src" / "loop").symlink_to("..")


def test_a_walk_leaves_out_what_git_ignores_and_what_is_protected(workspace: Workspace, root: Path):
    tree(root)

    shown = [entry.path for entry in workspace.files.walk()]
    hidden = [entry.path for entry in workspace.files.walk("", Walk(hidden=True))]

    assert shown == [
        "README.md", "src", "src/a.py", "src/deep", "src/deep/b.py", "src/deep/keep.log",
        "src/loop",
    ]  # fmt: skip
    assert {".gitignore", ".roo/schedules.json"} <= set(hidden)
    assert not {".env", ".git", ".git/config"} & set(hidden)


def test_a_walk_names_links_and_never_follows_them(workspace: Workspace, root: Path):
    tree(root)
    (root / "out").symlink_to("/etc")

    types = {entry.path: entry.type for entry in workspace.files.walk()}

    assert types["src/loop"] == types["out"] == "symlink"
    assert not any(path.startswith(("src/loop/", "out/")) for path in types)


def test_an_ignored_folder_that_is_named_is_walked(workspace: Workspace, root: Path):
    tree(root)

    assert [e.path for e in workspace.files.walk("node_modules")] == [
        "node_modules/x", "node_modules/x/y.js",
    ]  # fmt: skip


def test_depth_and_excludes_bound_a_walk(workspace: Workspace, root: Path):
    tree(root)

    assert [e.path for e in workspace.files.walk("src", Walk(max_depth=0))] == [
        "src/a.py", "src/deep", "src/loop",
    ]  # fmt: skip
    assert "src/deep" not in [
        e.path for e in workspace.files.walk("", Walk(exclude=("src/deep/",)))
    ]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_said_so(workspace: Workspace, root: Path):
    (root / "a.txt").write_text("a")
    (root / "a.txt").chmod(0)

    with pytest.raises(SidecarError, match="permission"):
        workspace.files.read("a.txt")
