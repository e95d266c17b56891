"""Rules across files: the modes that schedules and instructions name, and what these may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from sidecar.domain import js_date, modes_catalog
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kept import Kept, once
from sidecar.domain.kind import Kind
from sidecar.domain.modes import Mode, ModesFile
from sidecar.domain.modes_catalog import KnownMode
from sidecar.domain.project import Project
from sidecar.domain.schedules import Schedule, SchedulesFile
from sidecar.domain.source import Span
from sidecar.domain.suggest import guess, nearest
from sidecar.rules.rule import Hit, rule
from sidecar.rules.schedules_cause import setting, shown


def _modes(project: Project) -> dict[str, KnownMode]:
    """Every mode that can be switched to here, by its slug; the global ones' content is unknown."""
    own = project.modes.modes if project.modes else ()
    dropped = project.modes.profile.dropped if project.modes else ()
    found = {mode.slug: mode for mode in modes_catalog.known(own, dropped)}
    for slug in project.global_modes or ():
        found.setdefault(slug, KnownMode(slug, slug, "", ()))
    return found


@rule("SC004", Severity.WARNING, Kind.SCHEDULES)
def unknown_mode(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """A schedule's `mode` is no mode that is known here.

    roo-scheduler passes the word on unchecked. Roo falls back to the architect's prompt and then
    refuses every tool but the always available ones, so the run achieves nothing. What counts is
    the slug, letter for letter, not the name that is displayed. A global mode is not visible in
    the workspace; name the file in the setting `global_modes_file` to have it known.

    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "mode": "Orchestrator"}]}
    Bad:
        {"schedules": [{"id": "1", "scheduleType": "time", "mode": "quality-securty"}]}
        --- .roomodes
        customModes:
          - {slug: quality-security, name: Security, roleDefinition: Reviews., groups: [read]}
    Good:
        {"schedules": [{"id": "1", "scheduleType": "time", "mode": "orchestrator"}]}
    """
    known = _modes(project)
    names = {mode.name: slug for slug, mode in known.items()}
    guesses: dict[str, str | None] = {}
    certain = Severity.ERROR if project.global_modes is not None else None
    for schedule in file.schedules:
        value = schedule.values.get("mode")
        if "mode" not in schedule.fields or (isinstance(value, str) and value in known):
            continue
        text = js_date.to_text(value)
        if text not in guesses:
            named = names.get(text) or nearest(text, known) or nearest(text, names)
            guesses[text] = names.get(named or "", named) or guess(text, known)
        meant = guesses[text]
        sure = nearest(text, [*known, *names], cutoff=0.8) is not None
        title = f"Write `{meant}`"
        fixes = (setting(file, schedule, title, safe=sure, mode=meant),) if meant else ()
        hint = f"Did you mean `{meant}`?" if meant else "Add the mode, or name another."
        message = (
            f"`mode` {shown(value)} is neither built in nor in the mode file: Roo falls back to "
            f"the architect's prompt and refuses nearly every tool. {hint}"
        )
        yield Hit(schedule.place("mode"), message, fixes, certain)


# A slug in backticks counts as a mode where something says so: a sign before it, as the modes'
# names have, or a word of delegation. Texts are read as JSON or YAML writes them, escapes included.
_SLUG = r"(?P<slug>[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*)"
_GAP = r"(?:\s|\\[nrt]|\\\r?\n|\\(?= ))+"
_SIGN = r"(?:[^\x00-\x7f]|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8})"
_MENTIONS = (
    re.compile(rf"`{_SIGN}+{_GAP}{_SLUG}`"),
    re.compile(
        rf"\b(?:spawn|spawns|spawning|(?:switch|switching|delegate|delegating|hand|return){_GAP}"
        rf"(?:over{_GAP})?to|modes?){_GAP}(?:the{_GAP})?`{_SLUG}`",
        re.IGNORECASE,
    ),
    re.compile(rf"`{_SLUG}`{_GAP}mode\b"),
)


class _Mention(NamedTuple):
    """A mode that an instruction text names: whose text, and where."""

    owner: str
    span: Span
    slug: str


def _mentions(file: SchedulesFile | ModesFile) -> Iterator[_Mention]:
    text = file.source.text
    if isinstance(file, SchedulesFile):
        for schedule in file.schedules:
            if "taskInstructions" in schedule.fields:
                span = schedule.fields["taskInstructions"].span
                for place, slug in _named(text, span):
                    yield _Mention(f'"{schedule.label}"', place, slug)
        return
    for mode in file.modes:
        written = text[slice(*mode.node.extent)] if isinstance(mode.node, Kept) else ""
        start, named = once(mode.node, "mentions", written, partial(_named_by, text, mode))
        by = mode.span.start - start
        for place, slug in named:
            yield _Mention(f"`{mode.slug}`", Span(place.start + by, place.end + by), slug)


def _named_by(text: str, mode: Mode) -> tuple[int, list[tuple[Span, str]]]:
    """Where a mode begins, and the modes that its texts name."""
    names = ("customInstructions", "roleDefinition", "whenToUse")
    spans = [mode.node.entry(name) for name in names if mode.has(name)]
    named = [each for entry in spans if entry for each in _named(text, entry.value.span)]
    return mode.span.start, named


@rule("WS001", Severity.WARNING, Kind.SCHEDULES, Kind.MODES)
def text_mode_ref(file: SchedulesFile | ModesFile, project: Project) -> Iterator[Hit]:
    """Instructions send the agent to a mode that does not exist.

    A name in backticks counts as a mode after words such as "switch to", "delegate to" or
    "spawn", before "mode", or with a sign before it. `new_task` with an unknown mode fails with
    "Invalid mode", in the middle of an unattended run.

    Bad:
        {"schedules": [{"id": "1", "mode": "code",
                        "taskInstructions": "Then delegate to `validation-unti`."}]}
        --- .roomodes
        customModes:
          - {slug: validation-unit, name: Unit, roleDefinition: Tests., groups: [read]}
    Good:
        {"schedules": [{"id": "1", "mode": "code",
                        "taskInstructions": "Then delegate to `validation-unit`, run `make`."}]}
        --- .roomodes
        customModes:
          - {slug: validation-unit, name: Unit, roleDefinition: Tests., groups: [read]}
    """
    mentions = list(_mentions(file))
    known = _modes(project) if mentions else {}
    for owner, span, slug in mentions:
        if slug in known:
            continue
        meant = guess(slug, known)
        hint = f" Did you mean `{meant}`?" if meant else ""
        message = f"The instructions of {owner} name the mode `{slug}`, and there is none."
        fixes = (Fix(f"Write `{meant}`", (Edit(span, meant),), safe=False),) if meant else ()
        yield Hit(span, message + hint, fixes)


def _named(text: str, span: Span) -> list[tuple[Span, str]]:
    """The modes named in a part of a text, each place once, in order."""
    found: dict[Span, str] = {}
    if text.find("`", span.start, span.end) < 0:
        return []
    for pattern in _MENTIONS:
        for match in pattern.finditer(text, span.start, span.end):
            found[Span(*match.span("slug"))] = match["slug"]
    return sorted(found.items())


# What instructions ask for, by the tool group that it needs; only plain orders count.
_COMMANDS = re.compile(
    r"\b(?:commit (?:the |your |all )?changes|git (?:commit|push|add)"
    r"|run (?:the |all )?(?:unit )?tests|npm (?:run|test|install)|pytest"
    r"|execute (?:the )?(?:command|script|project test suite|tests))\b",
    re.IGNORECASE,
)
_WRITES = re.compile(
    r"\b(?:writ(?:e|ing)|updat(?:e|ing)|edit|append|record|creat(?:e|ing))\b[^.\n\\]{0,60}?"
    r"(?P<file>\b[\w./-]*\w\.(?:tsv|csv|json|ya?ml|py|ts|js|txt|md|toml)\b)",
    re.IGNORECASE,
)
_SWITCH = re.compile(r"switch (?:\w+ ){0,3}to (\w[\w-]*)", re.IGNORECASE)
_DELEGATES = re.compile(r"\bnew_task\b|\bdelegat", re.IGNORECASE)


@rule("WS002", Severity.WARNING, Kind.SCHEDULES)
def mode_lacks_tools(file: SchedulesFile, project: Project) -> Iterator[Hit]:
    """A schedule's instructions ask for what its mode cannot do.

    A mode without the group `command` runs no command, one without `edit` changes no file, and
    `fileRegex` limits which. Roo refuses the tool; nobody is there to switch the mode.

    Bad:
        {"schedules": [{"id": "1", "mode": "architect",
                        "taskInstructions": "Run the tests, record them in task_timing.tsv."}]}
    Good:
        {"schedules": [{"id": "1", "mode": "code",
                        "taskInstructions": "Run the tests, record them in task_timing.tsv."}]}
    """
    known = _modes(project)
    for schedule in file.schedules:
        mode = known.get(schedule.text("mode"))
        if mode is None or (mode.origin == "built-in" and not mode.role_definition):
            continue
        instructions = schedule.text("taskInstructions")
        lacking = list(_lacking(mode, instructions))
        if lacking and (mode.groups or not _DELEGATES.search(instructions)):
            message = f"Mode `{mode.slug}` {' and '.join(lacking)}. {_remedy(schedule, known)}"
            yield Hit(schedule.place("mode"), message)


def _lacking(mode: KnownMode, instructions: str) -> Iterator[str]:
    orders = dict.fromkeys(match[0] for match in _COMMANDS.finditer(instructions))
    if orders and "command" not in mode.group_names:
        said = ", ".join(f'"{order}"' for order in orders)
        yield f"cannot run commands, yet the instructions say {said}"
    paths = {match["file"]: match[0] for match in _WRITES.finditer(instructions)}
    refused = [path for path in paths if not mode.may_edit(path)]
    if refused:
        limited = "edit" in mode.group_names
        what = "may not edit " + ", ".join(f"`{path}`" for path in refused) if limited else (
            "cannot edit files"
        )  # fmt: skip
        yield f'{what}, yet they say "{" ".join(paths[refused[0]].split())}"'


def _remedy(schedule: Schedule, known: dict[str, KnownMode]) -> str:
    """What to do; a switch that the text itself orders leads on only where that mode has tools."""
    target = re.search(
        r"switch (?:\w+ ){0,3}to (\w[\w-]*)", schedule.text("taskInstructions"), re.IGNORECASE
    )
    switched = known.get(target[1].lower()) if target else None
    if switched is not None and not switched.groups:
        return (
            f"The mode `{switched.slug}` that the text switches to has no tools of its own either: "
            "name modes that have them, or give them the groups."
        )
    return "Choose a mode that has these groups, or give them to it."
