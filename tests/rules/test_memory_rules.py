"""What the rules of the memory find in the real memory."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sidecar.domain.edit import apply_edits
from sidecar.domain.finding import Finding
from sidecar.domain.kind import Kind
from sidecar.domain.memory import SECTIONS, parse
from sidecar.domain.project import Project
from sidecar.rules.registry import check

NOW = datetime(2025, 11, 2, tzinfo=UTC)


def findings(text: str, *, limit: int = 300) -> list[tuple[str, int, Finding]]:
    file = parse(text, path="persistent-memory.md")
    project = Project(NOW, ZoneInfo("UTC"), memory=file, memory_line_limit=limit)
    return [
        (finding.code, file.source.position(finding.span.start).line + 1, finding)
        for finding in check(Kind.MEMORY, file, project)
    ]


@pytest.fixture
def real_memory(corpus: Path) -> str:
    return (corpus / "loop-orchestrator/persistent-memory.md").read_bytes().decode()


def test_every_irregularity_of_the_real_memory_is_found(real_memory: str):
    lines = defaultdict(list)
    for code, line, finding in findings(real_memory):
        lines[code, finding.severity.value].append(line)

    assert dict(lines) == {
        ("PM003", "warning"): [186],
        ("PM003", "info"): [137, 161, 183],
        ("PM003", "hint"): [94, 187, 208, 219, 238, 251],
        ("PM004", "warning"): [102, 105, 108],
        ("PM005", "info"): [141],
    }


def test_sorting_the_real_entries_keeps_every_line(real_memory: str):
    (fix,) = next(finding for code, _, finding in findings(real_memory) if code == "PM004").fixes
    after = apply_edits(real_memory, fix.edits)

    assert sorted(filter(None, after.split("\n"))) == sorted(filter(None, real_memory.split("\n")))
    assert "PM004" not in {code for code, _, _ in findings(after)}


def test_the_limit_is_that_of_the_settings(real_memory: str):
    assert [line for code, line, _ in findings(real_memory, limit=250) if code == "PM002"] == [251]


def test_the_three_fixes_of_an_empty_file_make_the_three_sections():
    text = ""
    while fixes := [fix for code, _, f in findings(text) if code == "PM001" for fix in f.fixes]:
        text = apply_edits(text, fixes[0].edits)

    assert findings(text) == []
    assert text.count("\n# ") == 2


def test_sections_are_put_in_order_with_all_their_text():
    titles = list(SECTIONS.values())
    text = f"# {titles[2]}\n- a\n\n# {titles[1]}\n- b\n# {titles[0]}"
    (fix,) = next(f for code, _, f in findings(text) if code == "PM001").fixes
    after = apply_edits(text, fix.edits)

    assert [section.name for section in parse(after).sections] == list(SECTIONS)
    assert sorted(after.split()) == sorted(text.split())
