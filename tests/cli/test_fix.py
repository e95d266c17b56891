"""What ``sidecar fix`` changes, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

MODES = """\
# kept
customModes:
  - slug: a
    name: A
    roleDefinition: You.   # kept too
    groups: [read, browser]
"""


def test_a_safe_fix_is_applied_and_all_else_stays(sidecar, tmp_path: Path):
    path = tmp_path / ".roomodes"
    path.write_text(MODES, encoding="utf-8")

    answer = sidecar("fix", ".roomodes")

    assert answer.returncode == 0
    assert path.read_text(encoding="utf-8") == MODES.replace("[read, browser]", "[read]")


def test_diff_shows_the_change_and_writes_nothing(sidecar, tmp_path: Path):
    path = tmp_path / ".roomodes"
    path.write_text(MODES, encoding="utf-8")

    answer = sidecar("fix", "--diff", ".roomodes")

    assert "-    groups: [read, browser]" in answer.stdout
    assert "+    groups: [read]" in answer.stdout
    assert path.read_text(encoding="utf-8") == MODES
    assert [p.name for p in tmp_path.iterdir()] == [".roomodes"]


def test_the_sample_workspace_has_fewer_findings_after_fixing(sidecar, example_workspace: Path):
    def count() -> int:
        report = json.loads(sidecar("check", "--format", "json", str(example_workspace)).stdout)
        return sum(len(file["findings"]) for file in report["files"])

    before = count()
    sidecar("fix", str(example_workspace))

    assert 0 <= count() < before


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_fixed(sidecar, tmp_path: Path):
    (tmp_path / ".roomodes").write_bytes(b"\xff\x00")
    plan = tmp_path / "TODO.md"
    plan.write_text("- [] one\n", encoding="utf-8")

    answer = sidecar("fix", ".")

    assert answer.returncode == 2
    assert ".roomodes: not fixed: This is not UTF-8 text" in answer.stderr
    assert plan.read_text(encoding="utf-8") == "- [ ] one\n"
