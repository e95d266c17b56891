"""``sidecar next``, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path


def test_the_runs_come_in_order_with_reasons(sidecar, example_workspace: Path):
    answer = sidecar("next", "--workspace", example_workspace, "--count", "5", "--explain",
                     SIDECAR_TIMEZONE="Europe/Warsaw")  # fmt: skip

    lines = answer.stdout.splitlines()
    times = [line[:19] for line in lines if line.startswith("20")]
    assert answer.returncode == 0
    assert len(times) == 5
    assert times == sorted(times)
    assert "Loop: every 10 minutes, counted from startDate" in answer.stdout


def test_both_calendars_stand_side_by_side(sidecar, example_workspace: Path):
    answer = sidecar("next", "--workspace", example_workspace, "--compare", "roo-scheduler")

    assert "Morning review: sidecar 2" in answer.stdout
    assert "roo-scheduler never  (they differ)" in answer.stdout
    assert "roo-scheduler computes an invalid date" in answer.stdout


def test_the_json_form_holds_the_same(sidecar, example_workspace: Path):
    answer = sidecar("next", "--workspace", example_workspace, "--json", "--count", "3")

    report = json.loads(answer.stdout)
    assert len(report["runs"]) == 3
    assert {run["schedule_id"] for run in report["runs"]} <= {"1745000000001", "1745000000002"}
    assert report["problems"] == []


def test_a_schedule_that_cannot_run_is_named_with_its_reason(sidecar, example_workspace: Path):
    path = example_workspace / ".roo" / "schedules.json"
    path.write_text(path.read_text("utf-8").replace('"timeInterval": "10"', '"timeInterval": "x"'))

    answer = sidecar("next", "--workspace", example_workspace)

    assert answer.returncode == 0
    assert 'Cannot run: "Loop": Not runnable, because `timeInterval` is `"x"`' in answer.stdout


def test_without_a_file_it_says_so(sidecar, tmp_path: Path):
    answer = sidecar("next", "--workspace", tmp_path)

    assert answer.returncode == 2
    assert "There is no `.roo/schedules.json`" in answer.stderr
    assert "Traceback" not in answer.stderr
