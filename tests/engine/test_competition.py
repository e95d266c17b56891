"""Several processes on one queue: each slot is worked on once, also when processes are killed."""

from __future__ import annotations

import time
from pathlib import Path

from tests.engine.competition import Competition
from tests.engine.competitor import Ledger


def test_two_processes_run_each_due_slot_once(tmp_path: Path) -> None:
    """Both compute the same slots and ask for the same runs; one works on each."""
    competition = Competition(tmp_path, minute=0.5, seconds=0.05)
    competition.launch()
    competition.launch()

    competition.wait_for(8, 40)
    competition.end()

    done = competition.done()
    assert len(done) >= 8
    assert set(done.values()) == {1}
    assert competition.missing() == []
    starts = [e["run"] for e in competition.entries() if e["what"] == "start"]
    assert len(starts) == len(set(starts))
    assert competition.overlaps() == 0


def test_overlaps_are_counted_by_the_ledger_s_order_whatever_the_clock_says(tmp_path: Path) -> None:
    """Clocks are set back, and a process may get the number of one that was killed."""
    competition, late = Competition(tmp_path), time.time()
    told = Ledger(competition.ledger)
    told.write(pid=1, run="a", what="start", at=late)
    told.write(pid=1, run="a", what="done", at=late)
    told.write(pid=2, run="b", what="start", at=late - 1)
    told.write(pid=2, run="", what="killed")
    assert competition.overlaps() == 0
    told.write(pid=2, run="", what="up")
    told.write(pid=2, run="b", what="start")
    told.write(pid=3, run="c", what="start", at=late - 2)
    assert competition.overlaps() == 1


def test_a_killed_process_s_run_is_taken_over_by_its_peer(tmp_path: Path, engine_url: str) -> None:
    """The kernel frees the dead one's lock; the peer first ends what it left, then runs it."""
    competition = Competition(tmp_path, minute=3.0, seconds=1.0, url=engine_url)
    first = competition.launch()
    competition.launch()
    competition.wait_for(1, 40)
    other = next(p for p in competition.processes if p is not first)
    while (pid := competition.at_work()) is None:
        time.sleep(0.02)

    competition.kill(first if pid == first.pid else other)
    victim = [e["run"] for e in competition.entries() if e["what"] == "start"][-1]
    competition.wait_for(3, 40)
    competition.end()

    whats = [e["what"] for e in competition.entries() if e["run"] == victim]
    assert whats == ["start", "recover", "start", "done"]
    assert set(competition.done().values()) == {1}
    assert competition.missing() == []
