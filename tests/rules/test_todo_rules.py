"""What the rules of the plan find in the real plan, and where they stay silent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from sidecar.domain.edit import apply_edits
from sidecar.domain.kind import Kind
from sidecar.domain.project import Project
from sidecar.domain.todo import parse
from sidecar.rules.registry import check

NOW = datetime(2025, 11, 2, tzinfo=UTC)


def findings(text: str):
    file = parse(text, path="TODO.md")
    project = Project(NOW, ZoneInfo("UTC"), todo=file)
    return [
        (finding.code, file.source.position(finding.span.start).line + 1, finding)
        for finding in check(Kind.TODO, file, project)
    ]


def codes(text: str) -> list[tuple[str, int]]:
    return [(code, line) for code, line, _ in findings(text)]


def test_the_real_plan_has_mixed_indents_and_one_stranded_group(corpus: Path):
    text = (corpus / "loop-orchestrator/TODO.md").read_bytes().decode()

    assert codes(text) == [("TD001", 16), ("TD002", 62)]
    mixed, stranded = (finding for _, _, finding in findings(text))
    assert mixed.message.startswith("39 lines of the lists are indented with tabs and 51 ")
    assert "Automated CI check planning" in stranded.message


def test_moving_the_stranded_group_gives_the_bare_task_its_details(corpus: Path):
    text = (corpus / "loop-orchestrator/TODO.md").read_bytes().decode()
    stranded = findings(text)[1][2]
    after = apply_edits(text, stranded.fixes[0].edits)
    bare = next(item for item in parse(after).items if item.text.startswith("Automated CI"))

    assert [detail.text[:24] for detail in bare.details] == [
        "- **Planning Context**: ",
        "- **Coordination**: Plan",
        "- **Priority**: Low prio",
    ]
    assert sorted(after.split()) == sorted(text.split())
    assert ("TD002", 62) not in codes(after)


def test_a_loose_list_of_different_labels_is_not_stranded():
    assert codes("- [ ] a\n  - **One**: x\n\n  - **Two**: y\n\n  plain\n") == []


def test_details_under_a_heading_without_a_task_are_stranded():
    assert codes("# Plan\n\n    - **Context**: x\n\n- [ ] a\n") == [("TD002", 3)]


def test_the_same_title_under_different_tasks_is_no_duplicate():
    assert codes("- [ ] a\n  - [ ] test\n- [ ] b\n  - [ ] test\n") == []


def test_tasks_in_code_and_comments_are_left_alone():
    assert codes("```\n- [] a\n- [] a\n```\n<!--\n- [done] b\n-->\n") == []


def test_every_open_descendant_counts_for_a_ticked_task():
    assert codes("- [x] a\n  - [x] b\n    - [ ] c\n") == [("TD005", 1), ("TD005", 2)]
