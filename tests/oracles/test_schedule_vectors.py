"""The real roo-scheduler's next runs, recorded by executing it under a fake clock."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sidecar.domain import json as tolerant
from sidecar.domain import roo_calendar, schedules

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "schedule_vectors.json").read_text("utf-8")
)
RUNS = VECTORS["next_execution"] + VECTORS["next_execution_fuzz"]

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("vector", RUNS, ids=[vector["name"] for vector in RUNS])
def test_the_next_run_is_roo_scheduler_s(vector: dict):
    now, tz = datetime.fromisoformat(vector["now"]), ZoneInfo(vector["tz"])
    try:
        moment = roo_calendar.next_execution(vector["schedule"], now, tz)
        shown = moment and moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except roo_calendar.InvalidDate:
        shown = "Invalid Date"

    assert shown == vector["expected"]


LOADS = [vector for vector in VECTORS["lifecycle"] if vector.get("file") is not None]


@pytest.mark.parametrize("vector", LOADS, ids=[vector["name"] for vector in LOADS])
def test_loading_ends_as_it_does_in_roo_scheduler(vector: dict):
    text = vector["file"] if isinstance(vector["file"], str) else json.dumps(vector["file"])
    file = schedules.parse(text)
    now, tz = datetime.fromisoformat(vector["now"]), ZoneInfo(vector["tz"])

    outcome = schedules.outcome(file, now, tz)

    rejects = vector["initialize"].startswith("rejects")
    assert (outcome.verdict == "activation-fails") == rejects
    logged = next((line for line in vector["log"] if line.startswith("Loaded ")), None)
    if not rejects and logged and "undefined" not in logged:
        assert f"Loaded {outcome.loaded} schedules" in logged
    failed = any(line.startswith("Error loading") for line in vector["log"])
    assert (outcome.verdict == "rejected") == failed
    assert tolerant.strictly_valid(file.document) or failed
