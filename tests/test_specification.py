"""What the page on the specification names is there, and every tool has its row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import figures
from sidecar.cli.main import COMMANDS
from sidecar.rules.registry import RULES
from sidecar.services.registry import TOOLS
from sidecar.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs/specification.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and not line.startswith("| ---")
]


def test_each_tool_has_one_row_of_its_own():
    named = [row[0].strip("`") for row in ROWS]

    assert {name: named.count(name) for name in TOOLS} == dict.fromkeys(TOOLS, 1)


def test_each_path_by_which_something_is_met_exists():
    places = " ".join(cell for row in ROWS for cell in row[1:2])
    paths = {word for word in re.findall(r"`([\w./-]+)`", places) if "/" in word or "." in word}
    made = {"state/reports/report.md", "/sse", "task_timing.tsv"}

    assert len(paths) > 40
    assert sorted(p for p in paths - made if not (REPOSITORY / p).exists()) == []


def test_each_command_setting_rule_and_check_exists():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    commands = set(re.findall(r"`sidecar ([a-z]+)`", PAGE))
    targets = set(re.findall(r"`make ([a-z-]+)`", PAGE))
    settings = {s for s in re.findall(r"`([a-z_]+)`", PAGE) if s.endswith(("_limit", "_seconds"))}
    rules = set(re.findall(r"\b((?:RM|SC|TD|TT|PM)\d{3})\b", PAGE))
    checks = {
        word
        for row in ROWS
        for part in re.findall(r"checks? (\*[^|]*)", row[1])
        for word in re.findall(r"\*([^*]{12,})\*", part.partition(";")[0])
    }

    assert commands <= set(COMMANDS)
    assert [t for t in targets if not re.search(rf"^{t}:", makefile, re.MULTILINE)] == []
    assert settings <= set(Settings.model_fields)
    assert rules <= set(RULES)
    assert {check for check in checks if "," not in check} <= {d.check for d in figures.DEMANDS}
    assert len(checks) > 6


@pytest.mark.parametrize("demand", figures.DEMANDS, ids=lambda demand: demand.check)
def test_each_figure_that_is_checked_is_on_the_page(demand: figures.Demand):
    assert f"*{demand.check}*" in PAGE
