"""Half an hour of one-minute schedules with an agent that succeeds, fails, hangs and crashes.

Run by `make soak`; SOAK_SECONDS shortens it, SOAK_SEED repeats one. Prints what became of each slot
and ends with 1 where a slot was lost, run twice, or left something open.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sidecar.domain.run import ENDED, RunRecord
from tests.engine.real_sidecar import Place, is_alive

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(1_000_000))))
SCHEDULES = 3
# An attempt that hangs is ended after this; two minutes and three attempts would fill the run.
LIMIT_SECONDS = 20
ORDERS = {"succeed": 12, "fail": 3, "hang": 1, "crash": 2}
# Mean time between two kill -9 of the serving sidecar.
KILL_SECONDS = float(os.environ.get("SOAK_KILL_SECONDS", "240"))


def build(folder: Path, rng: random.Random) -> Place:
    """A place with schedules a third of a minute apart, and what the agent will do each time."""
    config = f"concurrent_runs = 2\nschedule_limit_seconds = {LIMIT_SECONDS}\n"
    orders = rng.choices(list(ORDERS), weights=list(ORDERS.values()), k=5_000)
    place = Place.make(folder, orders=orders, config=config)
    made = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=40)
    entries = []
    for number in range(SCHEDULES):
        created = made + timedelta(seconds=number * 60 / SCHEDULES)
        entries.append({
            "id": str(number), "name": f"Minute {number}", "mode": "builder",
            "taskInstructions": "Build it.", "scheduleType": "time", "timeInterval": "1",
            "timeUnit": "minute", "active": True, "taskInteraction": "wait",
            "createdAt": created.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        })  # fmt: skip
    text = json.dumps({"schedules": entries}, indent=2) + "\n"
    (place.root / ".roo" / "schedules.json").write_text(text, "utf-8")
    return place


def soak(place: Place, rng: random.Random) -> int:
    """Serve until the time is up, with kills and resumptions; returns the number of kills."""
    end, kills = time.monotonic() + SECONDS, 0
    serve, kill_at = place.serve(), time.monotonic() + rng.expovariate(1 / KILL_SECONDS)
    while time.monotonic() < end:
        time.sleep(min(10.0, max(0.1, end - time.monotonic())))
        if time.monotonic() >= kill_at or serve.poll() is not None:
            serve.kill()
            serve.wait()
            kills += 1
            serve, kill_at = place.serve(), time.monotonic() + rng.expovariate(1 / KILL_SECONDS)
        for number in range(SCHEDULES):
            place.sidecar("resume", str(number))
    drain(place)
    serve.send_signal(signal.SIGINT)
    serve.wait(120)
    return kills


def drain(place: Place) -> None:
    """Switch the schedules off, then wait until what was queued has ended, for six minutes."""
    for number in range(SCHEDULES):
        arguments = json.dumps({"action": "deactivate", "schedule_id": str(number)})
        command = [sys.executable, "-P", "-m", "sidecar", "call", "manage_schedules", arguments]
        subprocess.run([*command, "--workspace", str(place.root)], env=place.environment,
                       capture_output=True, check=False, timeout=120)  # fmt: skip
    end = time.monotonic() + 360
    while time.monotonic() < end and any(run.state not in ENDED for run in place.runs()):
        time.sleep(1)


def report(place: Place, kills: int) -> int:
    """Print each slot, then the figures; 1 where something is wrong, else 0."""
    runs = place.runs()
    starts = Counter(run for run, _ in place.starts)
    for run in runs:
        slot = f"{run.request.slot:%H:%M:%S}" if run.request.slot else "-"
        told = f"{starts[run.run_id]} starts, {run.attempts} attempts, {run.reason[:90]}"
        print(f"{slot}  {run.request.label}  {run.state:<11} {told}")
    wrong = problems(place, runs, starts)
    slots = expected(runs)
    states = Counter(run.state.value for run in runs)
    print(f"\nseed {SEED}, {SECONDS:.0f} s, {kills} kill -9, load {os.getloadavg()[0]:.1f}")
    print(
        f"slots recorded {len(runs)}/{slots}: " + ", ".join(f"{n} {s}" for s, n in states.items())
    )
    print(f"agents started {sum(starts.values())}, left running {wrong['agents left running']}")
    for name, count in wrong.items():
        print(f"{name}: {count}/0")
    return int(any(wrong.values()))


def expected(runs: list[RunRecord]) -> int:
    """The slots from each schedule's first to its last, one a minute."""
    total = 0
    for number in range(SCHEDULES):
        slots = [r.request.slot for r in runs if r.request.subject == str(number)]
        known = [slot for slot in slots if slot is not None]
        if known:
            total += round((max(known) - min(known)).total_seconds() / 60) + 1
    return total


def problems(place: Place, runs: list[RunRecord], starts: Counter[str]) -> dict[str, int]:
    """How often each thing that must not be is; all zero is well."""
    slots = Counter((run.request.subject, run.request.slot) for run in runs)
    ended = [run for run in runs if run.state in ENDED]
    rows = Counter(row["task_id"] for row in place.rows())
    return {
        "slots lost": expected(runs) - len(slots),
        "slots twice": sum(count - 1 for count in slots.values()),
        "runs not ended": len(runs) - len(ended),
        "succeeded without a start": sum(
            r.state.value == "succeeded" and not starts[r.run_id] for r in runs
        ),
        "time rows left open": sum(not row.get("end_time") for row in place.rows()),
        "time rows twice": sum(count - 1 for count in rows.values()),
        "agents left running": sum(is_at_work(place, pid) for _, pid in place.starts),
    }


def is_at_work(place: Place, pid: int) -> bool:
    """Whether a process is still the agent; in half an hour its number may be another's."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return sys.platform != "linux" and is_alive(pid)
    return str(place.tools).encode() in command


def main() -> int:
    """Soak in a folder of its own, which stays where something was wrong."""
    rng = random.Random(SEED)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    place = build(folder, rng)
    if place.sidecar("trust", "--schedules").returncode:
        print("The schedules could not be approved.")
        return 1
    code = report(place, soak(place, rng))
    print(f"everything lies in {folder}" if code else "all is well")
    return code


if __name__ == "__main__":
    sys.exit(main())
