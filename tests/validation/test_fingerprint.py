"""The same name for a project means that nothing of it was changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from validation import fingerprint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.py", "data/größe.bin", ".cache/x", "__pycache__/y", "out/report.json"):
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "p"


def name(root: Path, *words: str) -> str:
    return fingerprint.of(root, [root / "out"], *words)


def test_neither_times_nor_caches_nor_what_a_run_writes_change_the_name(root: Path):
    before = name(root)
    os.utime(root / "a.py", (1, 1))
    for unimportant in (".cache/x", "__pycache__/y", "out/report.json"):
        (root / unimportant).write_text("changed")

    assert name(root) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a.py").write_text("changed"),
        lambda root: (root / "data/größe.bin").write_bytes(b"\xff"),
        lambda root: (root / "new.txt").touch(),
        lambda root: (root / "a.py").rename(root / "b.py"),
        lambda root: (root / "a.py").unlink(),
        lambda root: (root / "large").write_bytes(bytes(fingerprint.LARGE_BYTES + 1)),
    ],
)
def test_any_change_of_a_file_changes_the_name(root: Path, change):
    before = name(root)
    change(root)

    assert name(root) != before


def test_other_arguments_are_another_name(root: Path):
    assert len({name(root), name(root, "a", "b"), name(root, "ab"), name(root, "a")}) == 4
