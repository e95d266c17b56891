"""Drive real agents by our runners, against a scripted model on loopback.

``runs.py [--only RUNNER] [--scenario NAME] [--keep FOLDER]``: exit 0 when every agent that could
be run kept every promise, 1 when one did not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import installing
import judging
import processes
from agents import AGENTS, Agent, Place, write
from dialects import MODEL
from model import Broken, Hanging, Model, Script, Step, is_named, serving
from run import EXAMPLE, STEPS

from sidecar.engine.runner import Event, Outcome, RunSpec
from sidecar.engine.runners.catalog import runner_named
from sidecar.engine.runners.process import members, of_run
from sidecar.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 90.0
SHORT_LIMIT_SECONDS = 20.0
SIGN_IN_SECONDS = 60.0
COUNT_SECONDS = 0.5
ALLOWED = dict.fromkeys(("read", "search", "think", "edit"), "allow")
SCHEDULES = ".roo/schedules.json"
MADE = "made-by-command.txt"
COMMAND = f"touch {MADE}"


@dataclass(frozen=True)
class Driven:
    """One runner of the catalogue with a real agent: what else its command line and it need.

    ``shell`` is the agent's own tool that runs a command, with the arguments to run ours.
    """

    runner: str
    agent: Agent
    prepare: Callable[[Place], None]
    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    shell: Step | None = None


@dataclass
class Result:
    """Which promises of one scenario were kept."""

    runner: str
    package: str
    scenario: str
    not_run: str = ""
    passed: int = 0
    expected: int = 0
    complaints: list[str] = field(default_factory=list)
    status: str = ""
    reason: str = ""
    tool_calls: int | None = None
    processes: int = 0
    left: int = 0
    seconds: float = 0.0
    seconds_to_end: float | None = None

    def check(self, promise: str, *, kept: bool) -> None:
        """Count a promise."""
        self.expected += 1
        self.passed += kept
        if not kept:
            self.complaints.append(promise)


def _nothing(_: Place) -> None:
    """An agent that needs no settings of its own."""


def _prepare_codex(place: Place) -> None:
    write(
        place.home / ".codex/config.toml",
        f'model = "{MODEL}"\nmodel_provider = "fake"\n\n'
        f'[model_providers.fake]\nname = "fake"\nbase_url = "{place.model}/v1"\n'
        'wire_api = "responses"\nenv_key = "FAKE_KEY"\n',
    )


def _prepare_gemini(place: Place) -> None:
    """The key as the way to sign in; the command knows our server from the user's settings."""
    server = {"command": mcp(place)[0], "args": list(mcp(place)[1:]), "trust": True}
    chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    write(place.home / ".gemini/settings.json", {**chosen, "mcpServers": {"sidecar": server}})
    write(place.home / ".gemini/trustedFolders.json", {str(place.workspace): "TRUST_FOLDER"})


def _prepare_gemini_acp(place: Place) -> None:
    chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    write(place.home / ".gemini/settings.json", chosen)


def _prepare_opencode(place: Place) -> None:
    options = {"baseURL": f"{place.model}/v1", "apiKey": "none"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {MODEL: {}}}
    chosen = {"model": f"fake/{MODEL}", "provider": {"fake": provider}}
    # What a user writes to be asked: by itself it allows everything.
    write(place.home / ".config/opencode/opencode.json", {**chosen, "permission": {"bash": "ask"}})


def mcp(place: Place) -> tuple[str, ...]:
    """How an agent starts our server for the run's workspace."""
    return (sys.executable, "-P", "-m", "sidecar", "mcp", "--workspace", str(place.workspace))


_BY_PROGRAM = {agent.program: agent for agent in AGENTS}
_CLINE_KEY = {
    "CLINE_API_KEY": "none-of-any-use",
    "CLINE_PROVIDER": "openai-compatible",
    "CLINE_MODEL": MODEL,
}
_GEMINI = ("-m", "gemini-2.5-flash")
DRIVEN = (
    Driven(
        "cline-acp",
        _BY_PROGRAM["cline"],
        _nothing,
        variables=_CLINE_KEY,
        shell=Step("run_commands", {"commands": [COMMAND]}),
    ),
    Driven("cline", _BY_PROGRAM["cline"], _nothing),
    Driven("claude", _BY_PROGRAM["claude"], _nothing),
    Driven("codex", _BY_PROGRAM["codex"], _prepare_codex),
    Driven("gemini", _BY_PROGRAM["gemini"], _prepare_gemini, _GEMINI),
    Driven(
        "gemini-acp",
        _BY_PROGRAM["gemini"],
        _prepare_gemini_acp,
        _GEMINI,
        shell=Step("run_shell_command", {"command": COMMAND, "description": "Touch a file"}),
    ),
    Driven("opencode", _BY_PROGRAM["opencode"], _prepare_opencode),
    Driven(
        "opencode-acp",
        _BY_PROGRAM["opencode"],
        _prepare_opencode,
        shell=Step("bash", {"command": COMMAND, "description": "Touch a file"}),
    ),
)


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
    schedules = json.loads((place.workspace / SCHEDULES).read_text("utf-8"))
    schedules["schedules"] = [{**schedules["schedules"][0], "id": "due", "name": "Due"}]
    write(place.workspace / SCHEDULES, schedules)
    user = stage.folder / "user"
    driven = json.dumps([stage.driven.runner, *stage.driven.words])
    variables = "".join(f"{k} = {json.dumps(v)}\n" for k, v in stage.spec.environment.items())
    write(
        user / "config" / "config.toml",
        f'runner = "driven"\n[runners]\ndriven = {driven}\n[runner_environment]\n{variables}',
    )
    begun = time.monotonic()
    first = _sidecar(stage, user, "run", "--due", "--trust")
    result.seconds = round(time.monotonic() - begun, 1)
    told = json.loads(_sidecar(stage, user, "runs", "--json").output)["runs"]
    again = _sidecar(stage, user, "run", "--due", "--trust")
    result.check("the command succeeds", kept=first.code == 0)
    result.check(f"there is one run ({len(told)})", kept=len(told) == 1)
    for run in told[:1]:
        result.status, result.reason = run["state"], run["reason"]
        result.tool_calls = run["facts"].get("tool_calls")
        result.left = len(members(of_run(run["run_id"])))
    result.check(f"it succeeded ({result.reason})", kept=result.status == "succeeded")
    result.check("no process is left", kept=result.left == 0)
    made = max((len(t.conversation.returned) for t in stage.model.turns), default=0)
    result.check("the model saw the results of all its calls", kept=made >= len(STEPS))
    memory = next(iter(place.workspace.rglob("persistent-memory.md"))).read_text("utf-8")
    result.check(
        "the note is in the memory once", kept=memory.count(STEPS[1].arguments["content"]) == 1
    )
    rows = (place.workspace / "task_timing.tsv").read_text("utf-8").splitlines()
    own = [row for row in rows if "\tDue\t" in row]
    is_closed = len(own) == 1 and "\tcompleted\t" in own[0]
    result.check("the time log has one row for it, closed", kept=is_closed)
    noted = json.loads((place.workspace / SCHEDULES).read_text("utf-8"))["schedules"][0]
    before = schedules["schedules"][0].get("lastExecutionTime")
    is_noted = noted.get("lastExecutionTime") != before
    result.check("the schedule notes its execution", kept=is_noted)
    result.check("the slot is not run again", kept="Nothing is due" in again.output)


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
}


def _relative(folder: Path) -> set[str]:
    """The files of a workspace; our own state is not the agent's doing."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(name) for name in names if name.parts[0] != ".sidecar"}


@contextmanager
def staged(driven: Driven, scenario: str, folder: Path, result: Result) -> Iterator[Stage]:
    """Throw-away folders and a model for one run; whoever is left at its home is ended."""
    home, workspace, kept = (folder / name for name in ("home", "workspace", "run"))
    shutil.copytree(EXAMPLE, workspace)
    for each in (home, kept):
        each.mkdir()
    steps = STEPS
    if scenario in ("denied", "allowed") and driven.shell:
        steps = (driven.shell,)
    script = SCENARIOS[scenario][1](steps, driven.agent.detours)
    with serving(script, folder / "model.jsonl") as model:
        place = Place(home, workspace, model.address)
        try:
            spec = _specification(driven, scenario, place, kept)
            yield Stage(driven, place, folder, model, script, spec, result)
        finally:
            processes.end_those_at_home(home)


def _specification(driven: Driven, scenario: str, place: Place, kept: Path) -> RunSpec:
    programs = [str(installing.FOLDER / "node_modules" / ".bin"), *installing.search_path()]
    path = os.pathsep.join([*programs, "/usr/local/bin", "/usr/bin", "/bin"])
    environment = {"HOME": str(place.home), "PATH": path, "SHELL": "/bin/sh"}
    environment |= {**driven.agent.environment(place), **driven.variables}
    if driven.agent.sign_in:
        command = [str(installing.program(driven.agent.program)), *driven.agent.sign_in(place)]
        log = place.home.with_name("sign-in")
        processes.run(
            command, folder=place.workspace, environment=environment,
            seconds=SIGN_IN_SECONDS, log=log,
        )  # fmt: skip
        processes.end_those_at_home(place.home)
    driven.prepare(place)
    execute: dict[str, Any] = {"execute": "allow"} if scenario == "allowed" else {}
    return RunSpec(
        run_id=f"agents:{driven.runner}-{scenario}@{os.getpid()}",
        attempt=1,
        prompt="Use the tools of the sidecar: read the plan, write a note, start the clock.",
        mode=None,
        role="You work carefully.",
        root=place.workspace,
        folder=kept,
        argv=(),
        environment=environment,
        mcp=mcp(place),
        limit_seconds=SHORT_LIMIT_SECONDS if scenario == "limited" else LIMIT_SECONDS,
        permissions={**ALLOWED, **execute},
    )


def results(only: str, wanted: str, keep: Path | None, at_once: int) -> Iterator[Result]:
    """Every scenario that a runner can have; an agent that waits leaves time for another."""
    chosen = [each for each in DRIVEN if only in ("", each.runner)]
    reasons = installing.install({each.agent.package: None for each in chosen})
    asked = [
        (driven, scenario)
        for scenario in SCENARIOS
        for driven in chosen
        # A command's agent asks nobody: its rights are given at the start.
        if wanted in ("", scenario) and (driven.shell or scenario not in ("denied", "allowed"))
    ]

    def driven(case: tuple[Driven, str]) -> Result:
        package = case[0].agent.package
        result = Result(case[0].runner, package, case[1], reasons.get(package, ""))
        if not result.not_run:
            _drive(*case, result, keep)
        return result

    with ThreadPoolExecutor(at_once) as executor:
        yield from executor.map(driven, asked)


def _drive(driven: Driven, scenario: str, result: Result, keep: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="run-", ignore_cleanup_errors=True) as made:
        folder = Path(made).resolve()
        with staged(driven, scenario, folder, result) as stage:
            SCENARIOS[scenario][0](stage)
        if keep:
            target = keep / f"{driven.runner}-{scenario}"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(folder, target, symlinks=True, ignore_dangling_symlinks=True)


def line(result: Result) -> str:
    """One run on one line, its broken promises below."""
    head = f"{result.runner:<13} {result.scenario:<10}"
    if result.not_run:
        return f"{head} not run: {result.not_run}"
    told = (
        f"{head} {result.passed}/{result.expected} kept, {result.status}, processes"
        f" {result.processes}, left {result.left}, {result.seconds} s"
    )
    if result.seconds_to_end is not None:
        told += f", ended in {result.seconds_to_end} s"
    return "\n".join([told, *(f"    not so: {each}" for each in result.complaints)])


def total(told: list[Result]) -> str:
    """The closing line."""
    run = [result for result in told if not result.not_run]
    kept = sum(result.passed for result in run), sum(result.expected for result in run)
    good = sum(not result.complaints for result in run)
    left = sum(result.left for result in run)
    return (
        f"{good}/{len(run)} runs right, {kept[0]}/{kept[1]} promises kept, {left} processes left,"
        f" {len(told) - len(run)} not run"
    )


def report(told: list[Result]) -> None:
    """``agents-runs.json`` and ``agents-runs.md`` in the folder of reports."""
    folder = ROOT / "state" / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    load = [round(each, 1) for each in os.getloadavg()]
    measured = {"processors": os.cpu_count(), "load": load}
    document = {"machine": measured, "total": total(told), "runs": [asdict(r) for r in told]}
    (folder / "agents-runs.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    columns = ("runner", "package", "scenario", "status", "kept", "processes", "left", "s", "end s")
    rows = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for each in told:
        kept = f"{each.passed}/{each.expected}" if not each.not_run else f"not run: {each.not_run}"
        cells = (each.runner, each.package, each.scenario, each.status, kept, each.processes)
        ended = each.seconds_to_end if each.seconds_to_end is not None else ""
        rows.append("| " + " | ".join(map(str, (*cells, each.left, each.seconds, ended))) + " |")
    text = (
        f"# Runs by real agents\n\n{total(told)}; load {load[0]} on {os.cpu_count()} processors.\n"
    )
    (folder / "agents-runs.md").write_text("\n".join([text, *rows, ""]), "utf-8")


def main() -> int:
    """Run, print, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="this runner alone")
    parser.add_argument("--scenario", default="", choices=["", *SCENARIOS], help="this one alone")
    parser.add_argument("--at-once", type=int, default=3, help="agents that work side by side")
    parser.add_argument("--keep", type=Path, help="keep each run's folders here")
    options = parser.parse_args()
    told = []
    for result in results(options.only, options.scenario, options.keep, options.at_once):
        print(line(result), flush=True)
        told.append(result)
    if not options.only and not options.scenario:  # a part must not pass for the whole
        report(told)
    print(total(told))
    return 0 if not any(result.complaints for result in told) else 1


if __name__ == "__main__":
    sys.exit(main())
