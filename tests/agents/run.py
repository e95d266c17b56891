"""Drive our server by real agents, headless, against a scripted model on loopback.

``run.py [--only NAME] [--transport NAME] [--keep FOLDER] [--times N] [--busy]``: exit 0 when every
agent that could be run made every call with the right result, 1 when one did not, 77 when none
could be run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import installing
import judging
import processes
import reporting
from agents import AGENTS, ROOT, Agent, Place
from model import Model, Script, Step, is_named, serving

from sidecar.mcp.schema import of_input
from sidecar.services.registry import TOOLS

RUN_SECONDS = 150.0
COULD_NOT_RUN = 77
SIGN_IN_SECONDS = 60.0
SERVER_SECONDS = 60.0
EXAMPLE = ROOT / "examples" / "workspace"
NOTE = "Agents call `tools` — naïve, <b>bold</b> & 100 % done ✓"
STEPS = (
    Step("get_todo_status", {"include_completed": True}),
    Step("update_persistent_memory", {"section": "implementation_patterns", "content": NOTE}),
    Step("track_task_time", {"task_description": "Drive the tools", "mode": "code"}),
    Step("read_project_file", {"file_path": "../x"}),
)


@dataclass
class Outcome:
    """What one agent did over one transport."""

    agent: str
    package: str
    transport: str
    not_run: str = ""
    passed: int = 0
    expected: int = len(STEPS)
    first_turn: int = 0
    named_first_turn: int = 0
    last_turn: int = 0
    with_parameters: int = 0
    forms: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    wrong_files: list[str] = field(default_factory=list)
    exit_code: int | None = None
    seconds: float = 0.0
    turns: int = 0
    left_behind: list[str] = field(default_factory=list)


def drive(agent: Agent, transport: str, folder: Path) -> Outcome:
    """One agent, one transport, in throw-away folders."""
    outcome = Outcome(agent.name, agent.package, transport)
    workspace, wanted = folder / "workspace", folder / "expected"
    for copy in (workspace, wanted):
        shutil.copytree(EXAMPLE, copy)
    home = folder / "home"
    home.mkdir()
    script = Script(STEPS, agent.detours)
    with serving(script, folder / "model.jsonl") as model:
        place = Place(home, workspace, model.address, transport)
        try:
            with _reached(place) as reached:
                _run(agent, reached, folder, outcome)
        finally:
            outcome.left_behind = processes.end_those_at_home(home)
    _judge(model, script, outcome, judging.expected(STEPS, wanted, folder / "user"))
    outcome.wrong_files = judging.wrong_files(workspace, wanted)
    return outcome


def _environment(place: Place) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ}
    usual = ["/usr/local/bin", "/usr/bin", "/bin"]
    path = os.pathsep.join([*installing.search_path(), *usual])
    return {**kept, "HOME": str(place.home), "PATH": path, "TERM": "dumb", "SHELL": "/bin/sh"}


@contextmanager
def _reached(place: Place) -> Iterator[Place]:
    """The place with our HTTP server's address and token, where the transport asks for them."""
    if place.transport.startswith("stdio"):
        yield place
        return
    environment = _environment(place)
    command = ["sidecar", "mcp", "--http", "--port", "0", "--workspace", str(place.workspace)]
    command[0] = str(Path(sys.executable).with_name("sidecar"))
    log = place.home.with_name("token")
    known = processes.run(
        [command[0], "token"],
        folder=place.workspace,
        environment=environment,
        seconds=SERVER_SECONDS,
        log=log,
    )
    log.with_suffix(".out").unlink()
    with processes.background(command, folder=place.workspace, environment=environment) as server:
        address = _address(server)
        end = "sse" if place.transport == "sse" else "mcp"
        yield replace(place, url=f"{address}/{end}", token=known.output.strip())


def _address(server: subprocess.Popen[bytes]) -> str:
    """The address that the server tells on stderr once it listens; empty where it does not."""
    for line in server.stderr or ():
        found = re.search(r"http://[^/\s]+", line.decode())
        if found:
            return found.group()
    return ""


def _run(agent: Agent, place: Place, folder: Path, outcome: Outcome) -> None:
    program = str(installing.program(agent.program))
    environment = {**_environment(place), **agent.environment(place)}
    if agent.sign_in:
        processes.run(
            [program, *agent.sign_in(place)],
            folder=place.workspace,
            environment=environment,
            seconds=SIGN_IN_SECONDS,
            log=folder / "sign-in",
        )
    agent.set_up(place)
    ended = processes.run(
        [program, *agent.command(place)],
        folder=place.workspace,
        environment=environment,
        seconds=RUN_SECONDS,
        log=folder / "agent",
    )
    outcome.exit_code, outcome.seconds = ended.code, round(ended.seconds, 1)


def _judge(
    model: Model, script: Script, outcome: Outcome, wanted: Sequence[judging.Expected]
) -> None:
    outcome.turns = len(model.turns)
    if not model.turns:
        outcome.complaints.append("the model was never asked with tools")
        return
    first, last = model.turns[0], model.turns[-1]
    outcome.first_turn = _ours(first.conversation.offered)
    outcome.last_turn = _ours(last.conversation.offered)
    told = json.dumps(first.body)
    outcome.named_first_turn = sum(f"{name}" in told for name in TOOLS)
    outcome.with_parameters = max(_complete(turn.conversation.offered) for turn in model.turns)
    returned = max((t.conversation.returned for t in model.turns), key=len)
    made = [each for each in returned if script.is_step(each.tool)]
    for step, each, right in zip(STEPS, made, wanted, strict=False):
        verdict = judging.judged(each.text, right)
        outcome.forms.append(verdict.form)
        if verdict.complaint or not is_named(each.tool, step.tool):
            outcome.complaints.append(f"{step.tool}: {verdict.complaint or each.tool}")
        else:
            outcome.passed += 1
    if len(made) < len(STEPS):
        outcome.complaints.append(f"{len(STEPS) - len(made)} calls had no result")


def _ours(offered: Sequence[object]) -> int:
    names = [getattr(each, "name", "") for each in offered]
    return sum(any(is_named(each, name) for each in names) for name in TOOLS)


def _complete(offered: Sequence[object]) -> int:
    """How many of our tools are offered with a description and all their parameters."""
    count = 0
    for name, tool in TOOLS.items():
        properties = set(of_input(tool.request)["properties"])
        count += any(
            is_named(getattr(each, "name", ""), name)
            and properties <= getattr(each, "parameters", set())
            and getattr(each, "description", "")
            for each in offered
        )
    return count


def outcomes(only: str, transport: str, keep: Path | None) -> Iterator[Outcome]:
    """Install and drive the agents chosen, one after the other."""
    chosen = [agent for agent in AGENTS if only.lower() in agent.name.lower()]
    reasons = installing.install(agent.package for agent in chosen)
    for agent in chosen:
        for each in agent.transports:
            if transport not in ("", each):
                continue
            if agent.package in reasons:
                yield Outcome(agent.name, agent.package, each, not_run=reasons[agent.package])
                continue
            with tempfile.TemporaryDirectory(prefix="agent-", ignore_cleanup_errors=True) as made:
                folder = Path(made).resolve()
                yield drive(agent, each, folder)
                if keep:
                    target = keep / f"{agent.program}-{each.replace(', ', '-').replace(' ', '-')}"
                    shutil.rmtree(target, ignore_errors=True)
                    shutil.copytree(folder, target, symlinks=True, ignore_dangling_symlinks=True)


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that do nothing but take a processor's time."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def main() -> int:
    """Run, print, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="agents whose name contains this")
    parser.add_argument("--transport", default="", help="this transport alone")
    parser.add_argument("--keep", type=Path, help="keep each run's folders here")
    parser.add_argument("--times", type=int, default=1, help="drive each agent so often")
    parser.add_argument("--busy", action="store_true", help="keep every processor busy meanwhile")
    options = parser.parse_args()
    results = []
    with busy(os.cpu_count() or 1 if options.busy else 0):
        for _ in range(options.times):
            for outcome in outcomes(options.only, options.transport, options.keep):
                print(reporting.line(asdict(outcome)), flush=True)
                results.append(asdict(outcome))
    if not (
        options.only or options.transport or options.times > 1 or options.busy
    ):  # a part must not pass for the whole
        reporting.write(ROOT / "state" / "reports", results)
    print(reporting.total(results))
    if results and all(result["not_run"] for result in results):
        print(f"No agent could be run: {results[0]['not_run']}")
        return COULD_NOT_RUN
    return 0 if all(reporting.is_good(result) for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
