"""What is asked of a real agent in a run, and what must have become of it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import judging
import processes
from agents import Place, write
from driven import MADE, Driven
from model import BreakingDown, Broken, Hanging, Model, Script, Step, is_named
from promises import Result
from run import EXAMPLE, STEPS

from sidecar.engine.runner import Event, Outcome, RunSpec
from sidecar.engine.runners.catalog import runner_named
from sidecar.engine.runners.process import members, of_run
from sidecar.settings import Settings

LIMIT_SECONDS = 90.0
SHORT_LIMIT_SECONDS = 20.0
COUNT_SECONDS = 0.5
BROKEN, EDITED = "TODO.md", "notes.md"
PERSONS = "Written by a person meanwhile.\n"
BREAKING = tuple(
    Step("write_project_file", {"file_path": path, "content": f"Broken by an agent: {path}\n"})
    for path in (BROKEN, EDITED)
)
SCHEDULES = ".roo/schedules.json"


@dataclass
class Stage:
    """One run's folders, model and specification, ready to be worked on."""

    driven: Driven
    place: Place
    folder: Path
    model: Model
    script: Script
    spec: RunSpec
    result: Result
    events: list[Event] = field(default_factory=list)

    def work(self, stop: threading.Event) -> Outcome:
        """Have the agent work; counts the processes that the run had and that it left."""
        driven = self.driven
        settings = Settings(runners={"driven": (driven.runner, *driven.words)})
        ended = threading.Event()
        threading.Thread(target=self._count_until, args=(ended,), daemon=True).start()
        begun = time.monotonic()
        outcome = runner_named(settings, "driven").run(self.spec, stop, self.events.append)
        ended.set()
        self.result.seconds = round(time.monotonic() - begun, 1)
        self.result.status, self.result.reason = outcome.status, outcome.reason
        self.result.tool_calls = outcome.tool_calls
        self.result.left = len(members(of_run(self.spec.run_id)))
        self.result.check("no process is left", kept=self.result.left == 0)
        return outcome

    def _count_until(self, ended: threading.Event) -> None:
        while not ended.wait(COUNT_SECONDS):
            now = len(members(of_run(self.spec.run_id)))
            self.result.processes = max(self.result.processes, now)


def works(stage: Stage) -> None:
    """The agent calls our tools in the run and finishes."""
    wanted = stage.folder / "expected"
    shutil.copytree(EXAMPLE, wanted)
    outcome = stage.work(threading.Event())
    result = stage.result
    result.check(f"it succeeds ({outcome.reason})", kept=outcome.status == "succeeded")
    returned = max((t.conversation.returned for t in stage.model.turns), key=len, default=[])
    made = [each for each in returned if stage.script.is_step(each.tool)]
    expected = judging.expected(STEPS, wanted, stage.folder / "user")
    for number, step in enumerate(STEPS):
        verdict = judging.judged(made[number].text, expected[number]) if made[number:] else None
        is_right = verdict is not None and not verdict.complaint
        is_right = is_right and is_named(made[number].tool, step.tool)
        result.check(f"{step.tool} gives the model the right result", kept=is_right)
    wrong = judging.wrong_files(stage.place.workspace, wanted)
    result.check(f"the files are right ({', '.join(wrong)})", kept=not wrong)
    kept = _relative(wanted) | _relative(EXAMPLE)
    new = sorted(_relative(stage.place.workspace) - kept)
    result.check(f"nothing else is written into the workspace ({new[:3]})", kept=not new)
    tools = [event for event in stage.events if event.kind == "tool"]
    result.check("the tool calls are told", kept=len(tools) >= len(STEPS))


def cancelled(stage: Stage) -> None:
    """The model falls silent in the middle of an answer, and somebody stops the run."""
    stop = threading.Event()
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(stage.work(stop)))
    thread.start()
    is_silent = stage.model.hanging.wait(LIMIT_SECONDS)
    stage.result.check("the agent works until the model is silent", kept=is_silent)
    begun = time.monotonic()
    stop.set()
    thread.join(LIMIT_SECONDS)
    stage.result.seconds_to_end = round(time.monotonic() - begun, 2)
    ended = [outcome.status for outcome in outcomes]
    stage.result.check(f"it ends as cancelled ({ended})", kept=ended == ["cancelled"])


def limited(stage: Stage) -> None:
    """The model falls silent in the middle of an answer until the run's limit is reached."""
    outcome = stage.work(threading.Event())
    stage.result.check(f"it times out ({outcome.status})", kept=outcome.status == "timed-out")
    stage.result.seconds_to_end = round(stage.result.seconds - SHORT_LIMIT_SECONDS, 2)


def refused(stage: Stage) -> None:
    """The model refuses every request: whatever the agent's exit code, this is no success."""
    outcome = stage.work(threading.Event())
    is_failure = outcome.status in ("failed", "timed-out")
    stage.result.check(f"it is no success ({outcome.status})", kept=is_failure)


def denied(stage: Stage) -> None:
    """The agent asks for a command that the policy does not allow."""
    outcome = stage.work(threading.Event())
    made = (stage.place.workspace / MADE).exists()
    stage.result.check("the command is not run", kept=not made)
    stage.result.check("the denial is told", kept=bool(outcome.facts.get("denied")))


def allowed(stage: Stage) -> None:
    """The agent asks for the same command where the policy allows it."""
    outcome = stage.work(threading.Event())
    made = (stage.place.workspace / MADE).exists()
    stage.result.check("the command is run", kept=made)
    stage.result.check(f"it succeeds ({outcome.reason})", kept=outcome.status == "succeeded")


def due(stage: Stage) -> None:
    """``sidecar run --due`` finds the schedule due, and the agent works on it, once."""
    place, result = stage.place, stage.result
    before = _schedule(stage)
    user = _configured(stage)
    begun = time.monotonic()
    first = _sidecar(stage, user, "run", "--due", "--trust")
    result.seconds = round(time.monotonic() - begun, 1)
    _told(stage, user)
    again = _sidecar(stage, user, "run", "--due", "--trust")
    why = (first.errors.strip().splitlines() or [""])[-1]
    result.check(f"the command succeeds ({why})", kept=first.code == 0)
    result.check(f"it succeeded ({result.reason})", kept=result.status == "succeeded")
    made = max((len(t.conversation.returned) for t in stage.model.turns), default=0)
    result.check("the model saw the results of all its calls", kept=made >= len(STEPS))
    memory = next(iter(place.workspace.rglob("persistent-memory.md"))).read_text("utf-8")
    times = memory.count(STEPS[1].arguments["content"])
    result.check("the note is in the memory once", kept=times == 1)
    rows = _rows(stage)
    is_closed = len(rows) == 1 and "\tcompleted\t" in rows[0]
    result.check("the time log has one row for it, closed", kept=is_closed)
    noted = json.loads((place.workspace / SCHEDULES).read_text("utf-8"))["schedules"][0]
    is_noted = noted.get("lastExecutionTime") != before.get("lastExecutionTime")
    result.check("the schedule notes its execution", kept=is_noted)
    told = again.output + again.errors
    result.check(f"the slot is not run again ({told[-200:]})", kept="Nothing is due" in told)


def escalated(stage: Stage) -> None:
    """The model breaks down three times, after the agent has changed two files.

    A person changes one of them between the attempts.
    """
    result, root = stage.result, stage.place.workspace
    _schedule(stage)
    user = _configured(stage, 'rollback = "on-failure"\n')
    whole = (root / BROKEN).read_text("utf-8")
    ended = threading.Event()
    person = threading.Thread(target=_edit_between, args=(root, ended))
    person.start()
    begun = time.monotonic()
    _sidecar(stage, user, "run", "--due", "--trust")
    result.seconds = round(time.monotonic() - begun, 1)
    ended.set()
    person.join()
    run = _told(stage, user)
    attempts = run.get("attempts")
    result.check(f"it was tried three times ({attempts})", kept=attempts == 3)
    result.check(f"it is escalated ({result.status})", kept=result.status == "escalated")
    now = (root / BROKEN).read_text("utf-8")
    result.check("the file that the agent broke is restored", kept=now == whole)
    edited = (root / EDITED).read_text("utf-8") if (root / EDITED).exists() else ""
    result.check("the file that a person edited is kept", kept=edited == PERSONS)
    rows = _rows(stage)
    is_closed = bool(rows) and "\tstarted\t" not in "".join(rows)
    result.check("no row of the time log is open", kept=is_closed)
    again = _sidecar(stage, user, "run", "--due", "--trust")
    result.check("the schedule is suspended", kept="Nothing is due" in again.output)


def _edit_between(root: Path, ended: threading.Event) -> None:
    """Be a person who saves a file as soon as the first attempt has failed."""
    while not ended.wait(0.1):
        if next(root.glob(".sidecar/runs/*/attempt-1/outcome.json"), None):
            (root / EDITED).write_text(PERSONS, "utf-8")
            return


def _schedule(stage: Stage) -> dict[str, Any]:
    """Leave one schedule in the workspace, which is due; its next slot is tomorrow's."""
    path = stage.place.workspace / SCHEDULES
    first = json.loads(path.read_text("utf-8"))["schedules"][0]
    schedule = {**first, "id": "due", "name": "Due", "timeInterval": "1", "timeUnit": "day"}
    write(path, {"schedules": [schedule]})
    return schedule


def _configured(stage: Stage, more: str = "") -> Path:
    """The user's folder with settings that make the driven agent the runner of everything."""
    user = stage.folder / "user"
    driven = json.dumps([stage.driven.runner, *stage.driven.words])
    variables = "".join(f"{k} = {json.dumps(v)}\n" for k, v in stage.spec.environment.items())
    tables = f"[runners]\ndriven = {driven}\n[runner_environment]\n{variables}"
    write(user / "config" / "config.toml", f'runner = "driven"\n{more}{tables}')
    return user


def _told(stage: Stage, user: Path) -> dict[str, Any]:
    """What the sidecar tells of the one run."""
    result = stage.result
    runs = json.loads(_sidecar(stage, user, "runs", "--json").output)["runs"]
    result.check(f"there is one run ({len(runs)})", kept=len(runs) == 1)
    run: dict[str, Any] = runs[0] if runs else {}
    result.status, result.reason = run.get("state", ""), run.get("reason", "")
    result.tool_calls = run.get("facts", {}).get("tool_calls")
    result.left = len(members(of_run(run.get("run_id", "-"))))
    result.check("no process is left", kept=result.left == 0)
    return run


def _rows(stage: Stage) -> list[str]:
    """The run's rows of the time log."""
    text = (stage.place.workspace / "task_timing.tsv").read_text("utf-8")
    return [row for row in text.splitlines() if "\tDue\t" in row]


def _sidecar(stage: Stage, user: Path, *words: str) -> processes.Ended:
    kept = {name: os.environ[name] for name in ("LANG", "TZ", "PATH") if name in os.environ}
    environment = {**kept, "SIDECAR_HOME": str(user), "HOME": str(stage.place.home)}
    return processes.run(
        [str(Path(sys.executable).with_name("sidecar")), *words],
        folder=stage.place.workspace,
        environment=environment,
        seconds=2 * LIMIT_SECONDS,
        log=stage.folder / f"sidecar-{words[0]}",
    )


SCENARIOS: dict[str, tuple[Callable[[Stage], None], type[Script]]] = {
    "works": (works, Script),
    "cancelled": (cancelled, Hanging),
    "limited": (limited, Hanging),
    "refused": (refused, Broken),
    "denied": (denied, Script),
    "allowed": (allowed, Script),
    "due": (due, Script),
    "escalated": (escalated, BreakingDown),
}


def _relative(folder: Path) -> set[str]:
    """The files of a workspace; our own state is not the agent's doing."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(name) for name in names if name.parts[0] != ".sidecar"}
