"""Two moments of a workspace compared: exactly what changed, whatever lies in the way."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.engine import checkpointing, snapshot
from sidecar.engine.snapshot import Snapshot
from sidecar.workspace.workspace import Workspace
from tests.engine.agents import Bench, git, repository

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
NAMES = st.sampled_from(["a", "b", "dir/a", "dir/b", "dir/deeper/ü", "run.sh"])
TREES = st.dictionaries(NAMES, st.binary(max_size=6), max_size=6)


def seen(root: Path, known: Snapshot | None = None) -> Snapshot:
    workspace = Workspace.open(root)
    return snapshot.take(workspace, snapshot.walked(workspace), known or Snapshot())


def lay(root: Path, tree: dict[str, bytes]) -> None:
    """Make the folder hold exactly these files; those that stay the same are not touched."""
    for path in [each for each in root.rglob("*") if each.is_file()]:
        if tree.get(path.relative_to(root).as_posix()) != path.read_bytes():
            path.unlink()
    for name, data in tree.items():
        if not (root / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)


@settings(max_examples=60)
@given(TREES, TREES)
def test_the_comparison_tells_what_was_added_modified_and_deleted(one, two):
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay(root, one)
        before = seen(root)
        lay(root, two)
        after = seen(root, before)
        told = {(each.path, each.status) for each in snapshot.compare(before, after)}
        wanted = {(path, "A") for path in two.keys() - one.keys()}
        wanted |= {(path, "D") for path in one.keys() - two.keys()}
        wanted |= {(path, "M") for path in one.keys() & two.keys() if one[path] != two[path]}
        assert told == wanted
        hashes = {path: hashlib.sha256(data).hexdigest() for path, data in two.items()}
        assert {path: each.sha256 for path, each in after.files.items()} == hashes
        assert Snapshot.from_json(after.to_json()) == after


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path):
    file = tmp_path / "a"
    file.write_text("one")
    before = seen(tmp_path)
    status = file.stat()
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [each.path for each in snapshot.compare(before, seen(tmp_path, before))] == ["a"]


@posix
def test_links_are_told_and_not_followed_and_other_things_are_passed_over(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    os.mkfifo(root / "pipe")
    (root / ".env").write_text("TOKEN=1")
    (root / os.fsdecode(b"not-\xff-utf8")).write_text("x")
    (root / "plain").write_text("x")
    found = seen(root)
    assert set(found.files) == {"file", "folder", "plain"}
    assert found.files["file"].sha256 == f"link:{outside / 'secret'}"


@posix
def test_a_folder_exchanged_for_a_link_between_listing_and_reading_is_not_entered(tmp_path: Path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "dir").mkdir(parents=True)
    (root / "dir" / "a").write_text("mine")
    outside.mkdir()
    (outside / "a").write_text("not mine")
    workspace = Workspace.open(root)
    paths = list(snapshot.walked(workspace))
    shutil.rmtree(root / "dir")
    (root / "dir").symlink_to(outside)
    assert snapshot.take(workspace, paths, Snapshot()).files == {}


def test_a_file_too_large_to_be_kept_is_known_by_its_stamp(tmp_path: Path):
    file = tmp_path / "large"
    with file.open("wb") as opened:
        opened.truncate(snapshot.MAX_BYTES + 1)
    before = seen(tmp_path)
    assert before.files["large"].sha256.startswith("stamp:")
    file.touch()
    assert len(snapshot.compare(before, seen(tmp_path, before))) == 1


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_workspace_inside_a_larger_repository_is_kept_alone(tmp_path: Path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("not ours")
    root = tmp_path / "part"
    root.mkdir()
    (root / "ours").write_text("ours")
    repository(tmp_path)
    home = tmp_path / "agent"
    home.mkdir()
    at = Bench(root, home, rollback="on-failure")
    begun = at.execution.begin(at.request())
    reference = f"refs/sidecar/checkpoints/{begun['task_id']}"
    listed = git(root, "ls-tree", "-r", "--full-tree", "--name-only", reference)
    assert "ours" in listed.split()
    assert "file" not in listed


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_workspace_in_a_folder_that_git_ignores_is_kept_by_copies(tmp_path: Path):
    (tmp_path / ".gitignore").write_text("build/\n")
    repository(tmp_path)
    root = tmp_path / "build"
    root.mkdir()
    home = tmp_path / "agent"
    home.mkdir()
    at = Bench(root, home, rollback="on-failure")
    made = checkpointing.take(at.context, "run-x", *checkpointing.look(at.context, Snapshot()))
    assert made["kind"] == "copies"
