"""What every mode file builds upon: built-in modes, what tool groups allow, families of slugs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from sidecar.domain import ecma
from sidecar.domain.kept import once
from sidecar.domain.modes import Mode

Origin = Literal["project", "built-in"]
Family = Literal["implementation", "validation", "quality", "integration", "planning"]

# Roo Code 3.52.1, shared/tools.ts.
GROUP_TOOLS: dict[str, tuple[str, ...]] = {
    "read": ("read_file", "search_files", "list_files", "codebase_search"),
    "edit": ("apply_diff", "write_to_file", "edit_file", "search_replace", "apply_patch"),
    "command": ("execute_command", "read_command_output"),
    "mcp": ("use_mcp_tool", "access_mcp_resource"),
    "modes": ("switch_mode", "new_task"),
    "web": ("fetch_web_content",),
    "browser": ("browser_action",),
}
ALWAYS_TOOLS = (
    *("ask_followup_question", "attempt_completion", "switch_mode", "new_task"),
    *("update_todo_list", "run_slash_command", "skill"),
)


@dataclass(frozen=True)
class KnownGroup:
    """A tool group of a mode; a pattern restricts what ``edit`` may touch."""

    name: str
    file_regex: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class KnownMode:
    """A mode that may be switched to, from a file or built in."""

    slug: str
    name: str
    role_definition: str
    groups: tuple[KnownGroup, ...]
    when_to_use: str | None = None
    description: str | None = None
    custom_instructions: str | None = None
    origin: Origin = "built-in"

    @property
    def group_names(self) -> tuple[str, ...]:
        """The names of the tool groups."""
        return tuple(group.name for group in self.groups)

    @property
    def family(self) -> Family | None:
        """The stage of the loop that the slug tells."""
        return family(self.slug)

    def may_edit(self, path: str) -> bool:
        """Whether the mode may change this file; every pattern is searched, not anchored."""
        edits = [group for group in self.groups if group.name == "edit"]
        return any(not g.file_regex or ecma.matches(g.file_regex, path) for g in edits)


MARKDOWN = KnownGroup("edit", r"\.md$", "Markdown files only")
READ, EDIT, COMMAND, MCP = (KnownGroup(name) for name in ("read", "edit", "command", "mcp"))
BUILT_IN: tuple[KnownMode, ...] = (
    KnownMode(
        "architect",
        "🏗️ Architect",
        "You plan and design before anything is built.",
        (READ, MARKDOWN, MCP),
        "Use to plan, design or weigh approaches before implementation.",
        "Plan and design before implementation",
    ),
    KnownMode(
        "code",
        "💻 Code",
        "You write, change and refactor code.",
        (READ, EDIT, COMMAND, MCP),
        "Use to write, modify or refactor code.",
        "Write, modify and refactor code",
    ),
    KnownMode(
        "ask",
        "❓ Ask",
        "You explain and answer questions without changing anything.",
        (READ, MCP),
        "Use for explanations, documentation and answers to technical questions.",
        "Get answers and explanations",
    ),
    KnownMode(
        "debug",
        "🪲 Debug",
        "You find the cause of a problem step by step, then mend it.",
        (READ, EDIT, COMMAND, MCP),
        "Use to troubleshoot errors and find root causes.",
        "Diagnose and fix software issues",
    ),
    KnownMode(
        "orchestrator",
        "🪃 Orchestrator",
        "You break work down and delegate each part to the mode that fits it.",
        (),
        "Use for work of several steps that needs several modes.",
        "Coordinate tasks across multiple modes",
    ),
)
BUILT_IN_SLUGS = frozenset(mode.slug for mode in BUILT_IN)

STAGES: tuple[Family, ...] = (
    "implementation",
    "validation",
    "quality",
    "integration",
    "planning",
)
WORDS: dict[Family, tuple[str, ...]] = {
    "implementation": (
        *("implementation", "implement", "implementer", "code", "coder", "coding", "developer"),
        *("development", "build", "builder", "backend", "frontend", "core", "features"),
        *("debug", "debugger", "refactor"),
    ),
    "validation": ("validation", "validate", "validator", "test", "tester", "testing", "tdd", "qa"),
    "quality": (
        *("quality", "review", "reviewer", "security", "audit", "auditor", "compatibility"),
        *("optimization", "lint"),
    ),
    "integration": (
        *("integration", "integrate", "integrator", "commit", "deploy", "deployment", "devops"),
        *("release", "merge", "ci", "monitoring", "maintenance", "operations"),
    ),
    "planning": (
        *("planning", "plan", "planner", "architect", "architecture", "requirements"),
        *("analysis", "analyst", "research", "priorities", "orchestrator", "ask"),
    ),
}


def family(slug: str) -> Family | None:
    """The stage that a slug belongs to, by its first telling word; None where none tells."""
    for word in re.split(r"[^a-z]+", slug.lower()):
        for name in STAGES:
            if word in WORDS[name]:
                return name
    return None


def skipped_stages(before: str, after: str) -> tuple[Family, ...]:
    """The stages of the loop that a change of modes leaves out; going back leaves out none."""
    one, two = family(before), family(after)
    if one is None or two is None:
        return ()
    return STAGES[STAGES.index(one) + 1 : STAGES.index(two)]


def known(modes: Iterable[Mode], deprecated: Iterable[str] = ()) -> tuple[KnownMode, ...]:
    """The modes of a file, then the built-in ones that it does not replace."""
    dropped = frozenset(deprecated)
    own: dict[str, KnownMode] = {}
    for mode in modes:
        if mode.slug and mode.slug not in own:
            own[mode.slug] = once(mode.node, "known", dropped, partial(_from_file, mode, dropped))
    return (*own.values(), *(mode for mode in BUILT_IN if mode.slug not in own))


def _from_file(mode: Mode, dropped: frozenset[str]) -> KnownMode:
    groups = (KnownGroup(g.name, g.file_regex, g.description) for g in mode.groups if g.name)
    return KnownMode(
        slug=mode.slug or "",
        name=mode.name or mode.slug or "",
        role_definition=mode.role_definition or "",
        groups=tuple(group for group in groups if group.name not in dropped),
        when_to_use=mode.when_to_use,
        description=mode.description,
        custom_instructions=mode.custom_instructions,
        origin="project",
    )
