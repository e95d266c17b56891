"""A year of schedules in seconds: every slot once, through clock jumps, DST and restarts."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sidecar.domain.run import ENDED, RunState
from sidecar.engine.clock import Clock
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.schedule_source import Entry
from sidecar.engine.scheduler import Scheduler
from tests.engine.databases import open_database
from tests.engine.simulation import CountingWork, MemorySource, Simulation, entry, expected

ZONES = (
    "UTC",
    "America/New_York",
    "America/Chicago",
    "Europe/Warsaw",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
)
START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def a_year(count: int, draw: random.Random) -> list[Entry]:
    """Daily to weekly schedules at odd hours in seven zones, a third on some weekdays only."""
    made = []
    for number in range(count):
        fields: dict[str, object] = {
            "startDate": f"2025-01-0{draw.randint(1, 9)}",
            "startHour": f"{draw.randint(0, 23):02}",
            "startMinute": f"{draw.randint(0, 59):02}",
            "timeInterval": str(draw.randint(1, 7)),
        }
        if number % 3 == 0:
            fields["timeInterval"] = "1"
            fields["selectedDays"] = dict.fromkeys(draw.sample(DAYS, 3), True)
        made.append(entry(f"y{number}", ZONES[number % len(ZONES)], **fields))
    return made


def minutes(count: int, days: int) -> list[Entry]:
    """Schedules of every minute that end after some days, in the week of a change of clocks."""
    fields = {"timeUnit": "minute", "startDate": "2025-03-06"}
    last = f"2025-03-{5 + days:02}"
    return [
        entry(f"m{number}", ZONES[1 + number % 3], **fields, expirationDate=last)
        for number in range(count)
    ]


def test_a_year_and_a_week_of_minutes_run_each_slot_exactly_once() -> None:
    """200 schedules over a year, five of every minute over a week; the clock jumps, we restart."""
    draw = random.Random(5)
    thorough = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
    schedules, days = (200, 7) if thorough else (40, 1)
    entries = a_year(schedules, draw) + minutes(5, days)
    simulation = Simulation(MemorySource(entries, catch_up="all"), START)
    until = START + timedelta(days=365)
    jumps = restarts = 0

    def disturb(count: int) -> None:
        nonlocal jumps, restarts
        if count % 997 == 0:
            simulation.now += timedelta(seconds=draw.randint(-7200, 7200))
            jumps += 1
        if count % 1499 == 0:
            simulation.restart()
            restarts += 1

    began = time.perf_counter()
    simulation.run(until, disturb)
    simulation.now = until
    simulation.look()
    seconds = time.perf_counter() - began

    wanted, ran = expected("w", entries, until), simulation.work.worked
    print(
        f"\n{len(ran)}/{len(wanted)} slots, {sum(n > 1 for n in ran.values())} more than once,"
        f" {jumps} clock jumps, {restarts} restarts, {seconds:.1f} s"
    )
    assert set(ran) == wanted
    assert set(ran.values()) == {1}
    assert len(wanted) >= (50_000 if thorough else 10_000)


def test_the_real_engine_runs_the_same_slots_exactly_once(tmp_path: Path) -> None:
    """The same scheduler on the durable queue, a year of slots one after the other."""
    thorough = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
    wished = 2000 if thorough else 200
    entries = a_year(wished // 100, random.Random(6))
    source = MemorySource(entries, catch_up="all")
    queue = DurableQueue(open_database(tmp_path, ""), clock=Clock(), concurrent_runs=1)
    work = CountingWork()
    queue.work(work)
    scheduler, now = Scheduler(source, queue), START
    began, until = time.perf_counter(), START + timedelta(days=365)
    while (following := scheduler.look(now)) is not None and following <= until:
        now = following
    wanted = expected("w", entries, until)
    while queue.runs(workspace="w", states=frozenset(RunState) - ENDED, limit=1):
        time.sleep(0.02)
    queue.close()

    seconds = time.perf_counter() - began
    print(f"\n{len(work.worked)}/{len(wanted)} slots by the real engine in {seconds:.1f} s")
    assert set(work.worked) == wanted
    assert set(work.worked.values()) == {1}
    assert len(wanted) >= wished
