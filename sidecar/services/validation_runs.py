"""Runs of the validation harness: child processes that outlive the client that asked."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.workspace.state import State

FOLDER = "validation"
CANCEL = "cancel"
LATEST = f"{FOLDER}/latest"
# The state folder's README names this number.
KEPT = 20
REPORTS = {
    "json": "report.json",
    "markdown": "report.md",
    "html": "report.html",
    "junit": "junit.xml",
    "sarif": "report.sarif",
}
LOOK_SECONDS = 0.1
LOST_SECONDS = 30.0
REPORT_LIMIT = 50_000_000
# How the harness tells how many tests have ended.
_SHARE = re.compile(r"(\d{1,9})/(\d{1,9}) ")

State_ = Literal["running", "finished", "cancelled", "lost"]


@dataclass(frozen=True)
class Run:
    """One run by its id, which is also the name of its folder in the state."""

    state: State
    id: str

    def name(self, file: str) -> str:
        """The state's name of one of the run's files."""
        return f"{FOLDER}/{self.id}/{file}"

    def load(self, file: str) -> Any:
        """A JSON file of the run, None while it is not there."""
        try:
            return json.loads(self.state.read(self.name(file), limit=REPORT_LIMIT))
        except SidecarError:
            return None
        except (ValueError, RecursionError):
            return None

    def save(self, file: str, value: Any) -> None:
        """Write a JSON file of the run."""
        self.state.write(self.name(file), json.dumps(value, indent=1).encode())

    @property
    def status(self) -> State_:
        """Whether it runs, and how it ended; ``lost`` when its process is gone without a word."""
        report = self.load("report.json")
        if report is not None:
            return "cancelled" if report.get("cancelled") else "finished"
        request = self.load("request.json") or {}
        if not request.get("child"):
            return "finished"
        seen = (self.load("progress.json") or {}).get("alive", request.get("started", 0.0))
        return "lost" if time.time() - float(seen) > LOST_SECONDS else "running"


def create(context: Context, request: dict[str, Any]) -> Run:
    """A new run's folder with what was asked for."""
    stamp = context.clock().strftime("%Y%m%dT%H%M%S")
    run = Run(context.workspace.state, f"{stamp}-{secrets.token_hex(4)}")
    run.save("request.json", {**request, "started": time.time()})
    run.state.write(LATEST, run.id.encode())
    _forget_old(context, run)
    return run


def _forget_old(context: Context, newest: Run) -> None:
    # Ids of one second are in no order.
    others = [run_id for run_id in ids(context) if run_id != newest.id]
    for run_id in others[KEPT - 1 :]:
        run = Run(context.workspace.state, run_id)
        if run.status != "running":
            run.state.forget(f"{FOLDER}/{run_id}")


def is_id(text: str) -> bool:
    """Whether a text has the shape of a run's id, and so names a folder inside our own."""
    return "-" in text and text.replace("-", "").isalnum() and text.isascii()


def find(context: Context, run_id: str) -> Run:
    """The run of that id; raises SidecarError E_NOT_FOUND."""
    run = Run(context.workspace.state, run_id)
    if not is_id(run_id) or run.load("request.json") is None:
        raise SidecarError(
            ErrorCode.NOT_FOUND,
            f"There is no validation run `{run_id}`.",
            hint="Leave run_id out to start one.",
        )
    return run


def latest_id(context: Context) -> str | None:
    """The id of the run that was started last; None where there was none."""
    try:
        return context.workspace.state.read(LATEST, limit=100).decode("ascii", "replace") or None
    except SidecarError:
        return None


def ids(context: Context) -> list[str]:
    """The ids of all runs, the newest first."""
    return [name for name in reversed(context.workspace.state.names(FOLDER)) if is_id(name)]


def listed(context: Context) -> Iterator[str]:
    """Each kept run in a line, the newest first: id, what it was, how it stands."""
    for run_id in ids(context):
        run = Run(context.workspace.state, run_id)
        report = run.load("report.json") or {}
        overall = report.get("overall") or {}
        counts = f", {overall['numerator']}/{overall['denominator']} passed" if overall else ""
        verdict = f", {report['verdict']}" if "verdict" in report else ""
        kind = (run.load("request.json") or {}).get("type", "")
        yield f"{run_id}  {kind}: {run.status}{verdict}{counts}"


def refuse_second(context: Context) -> None:
    """Raise SidecarError E_BUSY while another run of this workspace executes."""
    latest = latest_id(context)
    if latest and Run(context.workspace.state, latest).status == "running":
        raise SidecarError(
            ErrorCode.BUSY,
            f"The run `{latest}` is still going on.",
            hint=f'Ask for it with {{"run_id": "{latest}"}}, or add "cancel": true to stop it.',
        )


def command(
    context: Context, run: Run | None, arguments: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """The harness's command line and environment; with a run, its reports are kept there."""
    words = [sys.executable, "-P", "-m", "validation", str(context.workspace.root)]
    if run is not None:
        folder = run.state.path(run.name("request.json")).parent
        words += [f"--id={run.id}", f"--state={folder.parent}", f"--artefacts={folder}"]
        words += [f"--{form}={folder / name}" for form, name in REPORTS.items()]
        words.append(f"--cancel-file={folder / CANCEL}")
    # The user's own import path is for the tests: it must not decide which harness runs.
    environment = dict(os.environ)
    environment["SIDECAR_VALIDATION_PYTHONPATH"] = environment.pop("PYTHONPATH", "")
    return [*words, *arguments], environment


def start(context: Context, run: Run, arguments: Sequence[str]) -> None:
    """Start the harness for a run; it goes on when whoever asked for it is gone."""
    words, environment = command(context, run, ["--quiet", *arguments])
    folder = run.state.path(run.name("request.json")).parent
    with (folder / "harness.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and harness
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    threading.Thread(target=child.wait, daemon=True).start()


def follow(context: Context, run: Run, seconds: float) -> State_:
    """Wait for a run's end, at most that long, telling its progress."""
    deadline = time.monotonic() + seconds
    furthest = 0.0
    while True:
        status = run.status
        if status != "running" or time.monotonic() >= deadline:
            return status
        progress = run.load("progress.json")
        if progress:
            # A stage may begin anew, as benchmarks do; what was told never shrinks.
            furthest = max(furthest, reached(progress))
            context.progress(furthest, progress["stages"], told(progress))
        time.sleep(LOOK_SECONDS)


def reached(progress: dict[str, Any]) -> float:
    """How many stages are done, the one under way by its share of tests where that is known."""
    share = _SHARE.match(str(progress.get("detail")))
    within = int(share[1]) / int(share[2]) if share and int(share[2]) else 0.0
    return float(progress["stages_done"]) + min(within, 0.99)


def told(progress: dict[str, Any]) -> str:
    """Where a run stands, in a few words."""
    detail = f": {progress['detail']}" if progress.get("detail") else ""
    return f"{progress['stages_done']} of {progress['stages']} stages, {progress['stage']}{detail}"


def cancel(run: Run) -> None:
    """Ask a run to stop; the harness sees the file and ends its children."""
    if run.status == "running":
        run.state.write(run.name(CANCEL), b"")
