"""What an agent is told: its order, its bounds, the facts, and never too much."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.engine import prompt
from sidecar.engine.run_json import from_dict
from sidecar.mcp.prompts import PROMPTS
from sidecar.services import context_pack, failures
from tests.engine.agents import Bench, workspace


def told(at: Bench, number: int = 1, reason: str = "", **fields: object) -> str:
    attempt = prompt.Attempt("run-x", number, 1800, reason)
    return prompt.build(at.context, from_dict(at.request(**fields)), attempt)


def test_the_prompt_holds_the_order_the_bounds_and_all_six_facts(tmp_path: Path):
    at = Bench(workspace(tmp_path), tmp_path)
    failures.add(at.context, "schedule:other", "the compiler is missing")
    text = told(at, 2, "assertion failed")
    assert text.startswith("# Implementation cycle\nDo the next open item of the plan.")
    assert "ended after 30 minutes" in text
    assert "assertion failed" in text
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        *("Stage", "Due work", "Open plan items"),
        *("Recent failures", "Memory", "Last validation"),
    ]
    assert "This is implementation; validation comes next." in text
    assert "Reject negative durations" in text
    assert "schedule:other: 1 in a row" in text
    assert "the parser is merged" in text


def test_a_delegated_tasks_context_and_requirements_are_told(tmp_path: Path):
    at = Bench(workspace(tmp_path), tmp_path)
    text = told(at, extra={"context": {"module": "parser"}, "requirements": {"proof": "a test"}})
    assert '"module": "parser"' in text
    assert '"proof": "a test"' in text


def test_the_role_tells_what_the_modes_groups_allow(tmp_path: Path):
    at = Bench(workspace(tmp_path), tmp_path)
    mode = prompt.mode_of(at.context, from_dict(at.request(mode="architect")))
    role = prompt.role_text(mode)
    assert role.startswith("You work as 🏗️ Architect (mode `architect`).")
    assert r"only files matching `\.md$`" in role
    assert prompt.role_text(None) == ""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A workspace in which every fact is longer than its share."""
    folder = tmp_path_factory.mktemp("full")
    at = Bench(workspace(folder), folder)
    (at.root / "TODO.md").write_text("# Plan\n" + f"- [ ] {'an item ' * 40}\n" * 200)
    (at.root / "persistent-memory.md").write_text(at.memory() + f"- {'word ' * 4000}\n")
    for number in range(20):
        failures.add(at.context, f"schedule:{number}", "x" * 2000)
    return at


@settings(max_examples=12)
@given(st.text(max_size=30_000), st.integers(min_value=0, max_value=100_000))
def test_no_prompt_is_longer_than_the_bound(full: Bench, text: str, more: int):
    built = told(full, 3, text, instructions=text + "x" * more, label=text[:5000])
    assert len(built) <= prompt.MAX_PROMPT


def test_the_orchestrate_prompt_brings_the_same_facts(tmp_path: Path):
    at = Bench(workspace(tmp_path), tmp_path)
    text = PROMPTS["orchestrate"].text(at.context, {"stage": "implementation"})
    for part in context_pack.pack(at.context, "implementation"):
        assert part.told() in text
        assert part.told() in told(at)


def test_the_due_work_names_modes_and_states_apart(tmp_path: Path):
    at = Bench(workspace(tmp_path), tmp_path)
    assert '"Loop" in mode implementation-core: next' in told(at)
