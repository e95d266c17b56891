"""The engine's file is shared by processes that come and go; none loses what another wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Opens the queue with its listener, then puts a run in for each line that it is sent.
HOLDER = """
import sys
from pathlib import Path
from sidecar.domain.run import Origin, RunRequest
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.sqlite_database import SqliteDatabase

queue = DurableQueue(SqliteDatabase(Path(sys.argv[1])))
queue.listen()
for line in sys.stdin:
    name = line.strip()
    queue.enqueue(RunRequest(name, "w", Origin.PERSON, "s", "S", "do it"))
    print(name, flush=True)
queue.close()
"""
# Reads as a command does: opens, looks, closes, ends.
VISITOR = """
import sys
from pathlib import Path
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.sqlite_database import SqliteDatabase

queue = DurableQueue(SqliteDatabase(Path(sys.argv[1])))
print(",".join(sorted(run.run_id for run in queue.runs(workspace="w"))))
queue.close()
"""


def visit(file: Path) -> str:
    command = [sys.executable, "-P", "-c", VISITOR, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip()


def test_what_a_living_process_writes_is_seen_by_all_that_come_later(tmp_path: Path):
    file = tmp_path / "engine.sqlite"
    holder = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    seen = []
    try:
        for name in ("a", "b", "c"):
            holder.stdin.write(f"{name}\n")
            holder.stdin.flush()
            assert holder.stdout.readline().strip() == name
            seen.append(visit(file))
    finally:
        holder.stdin.close()
        holder.wait(60)

    assert seen == ["a", "a,b", "a,b,c"]
    assert visit(file) == "a,b,c"
