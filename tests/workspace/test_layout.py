"""Which file is which, and which folder is the workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.domain.kind import Kind
from sidecar.workspace import layout
from sidecar.workspace.workspace import Workspace


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".roomodes", Kind.MODES),
        ("sub/.roomodes", Kind.MODES),
        (".zoomodes", Kind.MODES),
        (".kilocodemodes", Kind.MODES),
        (".bobmodes", Kind.MODES),
        ("settings/custom_modes.yaml", Kind.MODES),
        (".roo/schedules.json", Kind.SCHEDULES),
        (".zoo/schedules.json", Kind.SCHEDULES),
        ("data/schedules.json", None),
        ("TODO.md", Kind.TODO),
        ("task_timing.tsv", Kind.TIMING),
        ("deep/persistent-memory.md", Kind.MEMORY),
        ("README.md", None),
        ("", None),
    ],
)
def test_a_file_is_known_by_its_name_wherever_it_lies(path: str, kind: Kind | None):
    assert layout.kind_of(path) is kind


def test_the_workspace_is_the_nearest_folder_with_a_mark(tmp_path: Path):
    (tmp_path / "project" / ".roo").mkdir(parents=True)
    inner = tmp_path / "project" / "src" / "deep"
    inner.mkdir(parents=True)

    assert layout.find_root(inner, {}) == tmp_path / "project"
    assert layout.find_root(inner, {"SIDECAR_WORKSPACE": str(tmp_path)}) == tmp_path


def test_a_kind_lies_where_it_exists_else_at_its_default(root: Path):
    workspace = Workspace.open(root)

    assert workspace.path(Kind.MODES, "zoo") == ".zoomodes"
    (root / ".roomodes").write_text("")
    assert workspace.path(Kind.MODES, "zoo") == ".roomodes"
    assert workspace.path(Kind.SCHEDULES) == ".roo/schedules.json"


def test_a_file_that_is_a_link_to_the_outside_keeps_its_place(root: Path, tmp_path: Path):
    (tmp_path / "secret").write_text("x")
    (root / "TODO.md").symlink_to(tmp_path / "secret")
    workspace = Workspace.open(root)

    assert workspace.path(Kind.TODO) == "TODO.md"
    assert workspace.holds("TODO.md")
    assert not workspace.holds("task_timing.tsv")
