"""Drive real agents by our runners, against a scripted model on loopback.

``runs.py [--only RUNNER] [--scenario NAME] [--keep FOLDER]``: exit 0 when every agent that could
be run kept every promise, 1 when one did not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import installing
import processes
from agents import Place
from driven import DRIVEN, Driven, mcp
from model import serving
from promises import Result, line, report, total
from run import EXAMPLE, STEPS
from scenarios import BREAKING, LIMIT_SECONDS, SCENARIOS, SHORT_LIMIT_SECONDS, Stage

from sidecar.engine.runner import RunSpec

ESCALATED = ("cline-acp", "claude", "codex")
SIGN_IN_SECONDS = 60.0
ALLOWED = dict.fromkeys(("read", "search", "think", "edit"), "allow")


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
    elif scenario == "escalated":
        steps = BREAKING
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
        if wanted in ("", scenario) and _applies(driven, scenario)
    ]

    def driven(case: tuple[Driven, str]) -> Result:
        package = case[0].agent.package
        result = Result(case[0].runner, package, case[1], reasons.get(package, ""))
        if not result.not_run:
            _drive(*case, result, keep)
        return result

    with ThreadPoolExecutor(at_once) as executor:
        yield from executor.map(driven, asked)


def _applies(driven: Driven, scenario: str) -> bool:
    """A command's agent asks nobody for its rights; three attempts of a few agents take minutes."""
    if scenario in ("denied", "allowed"):
        return driven.shell is not None
    return scenario != "escalated" or driven.runner in ESCALATED


def _drive(driven: Driven, scenario: str, result: Result, keep: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="run-", ignore_cleanup_errors=True) as made:
        folder = Path(made).resolve()
        with staged(driven, scenario, folder, result) as stage:
            SCENARIOS[scenario][0](stage)
        if keep:
            target = keep / f"{driven.runner}-{scenario}"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(folder, target, symlinks=True, ignore_dangling_symlinks=True)


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
