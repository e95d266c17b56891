"""kill -9 of a sidecar before any call that its steps make: a run leaves each trace once."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.run import run_name
from sidecar.engine.runners.process import members, of_run
from sidecar.services import escalation, failures, suspensions
from sidecar.services.schedule_bookkeeping import TOOL as BOOKKEEPING
from tests.engine.agents import SCHEDULE, Bench, repository, workspace
from tests.faults.orders import ordered

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers are forked"),
]

TRIALS = int(os.environ.get("SIDECAR_RUN_KILLS", "6"))
# What the agent does in each attempt, and whether that is success.
STORIES: dict[str, list[list[Any]]] = {
    "fails": [["write", "README.md", "broken"], ["write", "made.txt", "x"], ["exit", 1]],
    "succeeds": [["write", "README.md", "better"], ["say", "done"]],
}


class Trial:
    """One workspace in which one run is carried, killed, and carried to its end."""

    def __init__(self, folder: Path, story: str) -> None:
        folder.mkdir()
        self.root = repository(workspace(folder))
        (self.root / "README.md").write_text("as it was\n")
        self.folder, self.story = folder, story
        self.kept = folder / "kept.json"

    def order(self, at: int) -> dict[str, Any]:
        """What a worker is told; it dies before call number ``at``, 0 is never."""
        return {
            "root": str(self.root),
            "home": str(self.folder / "home"),
            "folder": str(self.folder),
            "kept": str(self.kept),
            "steps": STORIES[self.story],
            "at": at,
        }

    def wrong(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What is not as one uninterrupted run leaves it."""
        monkeypatch.setenv("SIDECAR_HOME", str(self.folder / "home"))
        at = Bench(self.root, self.folder)
        name = run_name(at.request()["run_id"])
        fails = self.story == "fails"
        finished = json.loads(self.kept.read_text())["finished"]
        edits = at.context.workspace.journal.entries(tool=BOOKKEEPING)
        failed = failures.of(at.context, suspensions.operation(SCHEDULE))
        found = {
            "rows": [(row.task_id, row.is_open) for row in at.rows()],
            "state": finished["state"],
            "entries": at.memory().count(name),
            "escalations": len(escalation.escalations(at.context)),
            "suspended": SCHEDULE in suspensions.everything(at.context),
            "failures": failed.count,
            "bookkeeping": len(edits),
            "noted": at.schedule()["lastTaskId"],
            "README": (self.root / "README.md").read_text(),
            "made": (self.root / "made.txt").exists(),
            "processes": len(members(of_run(at.request()["run_id"]))),
        }
        at.context.workspace.close()
        wanted = {
            "rows": [(name, False)],
            "state": "escalated" if fails else "succeeded",
            # The mark and the record's id in the escalation's entry both name the run.
            "entries": 2 if fails else 0,
            "escalations": int(fails),
            "suspended": fails,
            "failures": 3 if fails else 0,
            "bookkeeping": 1,
            "noted": name,
            "README": "as it was\n" if fails else "better",
            "made": False,
            "processes": 0,
        }
        return [f"{key}: {found[key]!r}" for key in wanted if found[key] != wanted[key]]


@pytest.mark.parametrize("story", STORIES)
def test_a_run_whose_sidecar_is_killed_anywhere_leaves_each_trace_once(
    story: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    figure: Callable[[str], None],
) -> None:
    """The calls of an undisturbed run are counted; then workers die before some of them."""
    chance, bad, places = random.Random(story), [], []
    with ordered("tests.faults.run_carrier") as carry:
        whole = Trial(tmp_path / "whole", story)
        assert carry(whole.order(0))["status"] == 0
        assert whole.wrong(monkeypatch) == []
        calls = json.loads(whole.kept.read_text())["calls"]
        places = sorted(chance.sample(range(1, calls + 1), min(TRIALS, calls)))
        for place in places:
            trial = Trial(tmp_path / str(place), story)
            killed = carry(trial.order(place))["status"]
            assert os.WIFSIGNALED(killed) or killed == 0
            assert carry(trial.order(0))["status"] == 0
            bad += [f"call {place}: {what}" for what in trial.wrong(monkeypatch)]
    figure(
        f"a run that {story}, its sidecar killed before {len(places)} of its {calls} calls:"
        f" wrong traces {len(bad)}, rows left open"
        f" {sum('True' in each for each in bad if 'rows' in each)}/{len(places)}"
    )
    assert bad == []
