"""How long runs may take: by stage, by kind, and by what a delegated task has left."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.domain.errors import SidecarError
from sidecar.domain.run import Origin, RunRequest
from sidecar.services.context import Context
from sidecar.services.delegation import delegate_task
from sidecar.services.run_limits import attempt_limit
from sidecar.settings import Settings


@pytest.mark.parametrize(
    ("mode", "priority", "seconds"),
    [
        ("implementation-core", "schedule", 7200),
        ("implementation-core", "todo", 3600),
        (None, "schedule", 7200),
        ("planning-analysis", "schedule", 1800),
        ("validation-unit", "todo", 900),
        ("quality-security", "schedule", 1800),
        ("integration-commit", "normal", 3600),
    ],
)
def test_each_stage_and_kind_has_its_limit(context: Context, mode, priority, seconds):
    run = RunRequest("r", "w", Origin.SCHEDULE, "s", "l", "i", mode=mode, priority=priority)
    assert attempt_limit(context, replace(run, limit_seconds=10**6)) == seconds


def test_settings_move_the_limits_and_a_request_can_only_shorten_them(context: Context):
    settings = Settings(timezone="UTC", validation_limit_seconds=5)
    run = RunRequest("r", "w", Origin.SCHEDULE, "s", "l", "i", mode="validation-unit")
    assert attempt_limit(replace(context, settings=settings), run) == 5
    assert attempt_limit(replace(context, settings=settings), replace(run, limit_seconds=3)) == 3


class Chain:
    """Delegated tasks, each claimed a while before it delegates the next."""

    def __init__(self, context: Context) -> None:
        self.now = datetime(2025, 5, 1, tzinfo=UTC)
        self.context = replace(context, clock=lambda: self.now)

    def ask(self, **arguments: object) -> dict[str, object]:
        return delegate_task.call(self.context, arguments).structured()

    def create(self, text: str, parent: object = None) -> dict[str, object]:
        made = self.ask(task_description=text, target_mode="code", parent_task_id=parent)
        self.ask(action="claim", task_id=made["task_id"])
        return made

    def limit(self, task_id: object, begun: datetime | None = None) -> float:
        run = RunRequest("r", "w", Origin.TASK, str(task_id), "l", "i", priority="todo")
        return attempt_limit(self.context, run, begun)


def test_a_child_gets_at_most_half_of_what_its_parent_has_left(context: Context):
    chain = Chain(context)
    parent = chain.create("all of it")
    begun = chain.now
    chain.now += timedelta(seconds=500)
    assert chain.limit(parent["task_id"]) == chain.limit(parent["task_id"], begun) == 3100
    child = chain.create("a part of it", parent["task_id"])
    assert child["budget_seconds"] == 1550
    begun = chain.now
    chain.now += timedelta(seconds=500)
    assert chain.limit(child["task_id"], begun) == 1050
    chain.now += timedelta(hours=1)
    assert chain.limit(child["task_id"], begun) == 1


def test_delegation_ends_at_the_fifth_level(context: Context):
    chain, parent, depths = Chain(context), None, []
    for level in range(6):
        made = chain.create(f"level {level}", parent)
        parent = made["task_id"]
        depths.append(made["depth"])
    assert depths == [0, 1, 2, 3, 4, 5]
    with pytest.raises(SidecarError, match="5 levels deep"):
        chain.create("level 6", parent)
