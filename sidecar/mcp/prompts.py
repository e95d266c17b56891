"""Prompts that a person picks: each brings the facts it needs, so that nothing has to be asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mcp_types import Prompt, PromptArgument

from sidecar.domain.modes_catalog import STAGES
from sidecar.domain.run import run_name
from sidecar.mcp.resources import paths
from sidecar.services import runs
from sidecar.services.context import Context
from sidecar.services.context_pack import MAX_PART, cut, pack, tool_part
from sidecar.services.diagnosis import diagnose_workspace
from sidecar.services.run_requests import run_of

MAX_FINDINGS = 100

_ORCHESTRATE = """\
Take the loop one step further. The stages follow each other: Implementation, Validation, Quality,
Integration, Planning, and again. The schedules decide what is due; the plan informs, it starts
nothing by itself. Start the clock with track_task_time before the work and stop it after; write
what was learned with update_persistent_memory; hand work to a mode with delegate_task. Ask a
question only where the facts below contradict each other."""
_PLAN = """\
Write it as a section of TODO.md: one `- [ ]` line a step, small enough for an hour, each with the
mode that should do it and how it is proved. Keep what is there."""
_FIX_CONFIG = """\
Mend these findings with the smallest edits; keep comments, order and unknown keys.
sync_environment applies the fixes that are safe; check again afterwards with run_validation
(validation_type config)."""
_REVIEW = """\
Review what was done: does the result meet the task, within its time, and is it proved? Name what
is missing. Write one memory entry if something was learned."""

Arguments = Mapping[str, str]


@dataclass(frozen=True)
class Argument:
    """One argument of a prompt, and the values that would complete what was typed."""

    name: str
    description: str
    required: bool = False
    values: Callable[[Context], list[str]] = lambda _: []


@dataclass(frozen=True)
class Template:
    """One prompt: what it is for, and how its text is made."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    text: Callable[[Context, Arguments], str]

    def listing(self) -> Prompt:
        """What ``prompts/list`` tells of it."""
        arguments = [
            PromptArgument(name=each.name, description=each.description, required=each.required)
            for each in self.arguments
        ]
        return Prompt(
            name=self.name,
            title=self.title,
            description=self.description,
            arguments=arguments or None,
        )


def _part(context: Context, title: str, tool: str, **arguments: Any) -> str:
    return tool_part(context, title, tool, **arguments).told()


def _orchestrate(context: Context, arguments: Arguments) -> str:
    stage = arguments.get("stage")
    facts = (part.told() for part in pack(context, stage))
    return "\n\n".join([_ORCHESTRATE, *facts])


def _plan(context: Context, arguments: Arguments) -> str:
    parts = [
        f"Plan this: {arguments.get('goal', '')}\n{_PLAN}",
        _part(context, "The plan so far", "get_todo_status", limit=50),
        _part(context, "Modes", "get_mode_capabilities"),
    ]
    return "\n\n".join(parts)


def _fix_config(context: Context, arguments: Arguments) -> str:
    lines = list(islice(_findings(context, arguments.get("path", "")), MAX_FINDINGS))
    return "\n\n".join([_FIX_CONFIG, "\n".join(lines) or "Nothing is wrong."])


def _findings(context: Context, wanted: str) -> Iterator[str]:
    for report in diagnose_workspace(context.workspace, context.settings, context.clock()):
        if wanted in {"", report.path}:
            if report.error:
                yield f"{report.path}: {report.error}"
            for finding in report.findings:
                line = report.source.position(finding.span.start).line + 1
                yield f"{report.path}:{line} {finding.severity} {finding.code}: {finding.message}"


def _review_run(context: Context, arguments: Arguments) -> str:
    run_id = arguments.get("task_id", "")
    parts = [
        _REVIEW,
        _executed(context, run_id) or _asked_for(context, run_id),
        _part(context, "Time", "get_time_tracking", limit=10),
        _part(context, "The plan", "get_todo_status", limit=20),
    ]
    return "\n\n".join(parts)


def _executed(context: Context, run_id: str) -> str | None:
    """A run of the engine with what it left behind; None for other ids."""
    record = run_of(context, run_id)
    if record is None:
        return None
    facts = json.dumps(runs.shown(record), ensure_ascii=False, indent=1)
    folder = f"{context.settings.state_dir}/runs/{run_name(run_id)}"
    left = f"Prompt, transcript and outcome of each attempt: `{folder}/`."
    return f"## The run\n{cut(facts, MAX_PART)}\n{left}"


def _asked_for(context: Context, run_id: str) -> str:
    """A task, a validation, or all open tasks, as the tool for it shows them."""
    if not run_id:
        return _part(context, "The run", "delegate_task", action="status")
    if run_id.startswith(runs.TASK_PREFIX):
        return _part(context, "The run", "delegate_task", action="status", task_id=run_id)
    return _part(context, "The run", "run_validation", run_id=run_id, wait_seconds=0)


PROMPTS: dict[str, Template] = {
    template.name: template
    for template in (
        Template(
            "orchestrate",
            "Take the loop one step further",
            "What is due, planned, remembered and failing, and how to go on",
            (Argument("stage", "Where the loop stands", values=lambda _: list(STAGES)),),
            _orchestrate,
        ),
        Template(
            "plan",
            "Plan a goal",
            "Turn a goal into steps of TODO.md",
            (Argument("goal", "What is to be reached", required=True),),
            _plan,
        ),
        Template(
            "fix-config",
            "Mend the state files",
            "Every finding by file and line, and how to mend it",
            (Argument("path", "Only this file", values=paths),),
            _fix_config,
        ),
        Template(
            "review-run",
            "Review a run",
            "The task, its time and the plan, to judge what was done",
            (Argument("task_id", "The run, task or validation", values=runs.ids),),
            _review_run,
        ),
    )
}
