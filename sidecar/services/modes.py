"""Modes: which there are, what each may do, and which one a session works in."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.kind import Kind
from sidecar.domain.modes import ModesFile
from sidecar.domain.modes_catalog import GROUP_TOOLS, STAGES, KnownMode, known
from sidecar.domain.suggest import did_you_mean
from sidecar.rules import registry
from sidecar.services.context import Context
from sidecar.services.paging import cursor_after, cut, fitting, start_of
from sidecar.services.project import load_file, load_project
from sidecar.services.tool import Category, Request, Result, tool

MAX_MODES = 100
MAX_PROBLEMS = 10
SHOWN = 400
Stage = Literal["implementation", "validation", "quality", "integration", "planning"]


def modes_file(context: Context) -> ModesFile | None:
    """The workspace's mode file as the user sees it, None where there is none."""
    file = load_file(context.workspace, Kind.MODES, context.settings.product)
    return file if isinstance(file, ModesFile) else None


def known_modes(context: Context) -> tuple[KnownMode, ...]:
    """Every mode that can be named: the file's, even those of a broken file, and built-in ones."""
    file = modes_file(context)
    return known(file.modes, file.profile.dropped) if file else known(())


def find_mode(context: Context, slug: str) -> KnownMode:
    """The mode with that slug; raises SidecarError E_NOT_FOUND with the closest ones."""
    modes = known_modes(context)
    for mode in modes:
        if mode.slug == slug:
            return mode
    by_name = next((m.slug for m in modes if m.name.casefold() == slug.casefold()), None)
    slugs = [mode.slug for mode in modes]
    hint = f"Its slug is `{by_name}`." if by_name else did_you_mean(slug, slugs)
    raise SidecarError(
        ErrorCode.NOT_FOUND,
        f"There is no mode `{slug}`.",
        hint=hint or f"The modes are: {', '.join(slugs[:40])}.",
    )


class GetModeCapabilitiesRequest(Request):
    """Which modes to list."""

    filter_by_group: Annotated[
        str | None, Field(description="Tool group (edit, command, …) or slug family")
    ] = None
    include_instructions: Annotated[
        bool, Field(description="Full texts for one slug; else only their lengths")
    ] = True
    filter_by_stage: Annotated[Stage | None, Field(description="Slug family")] = None
    slug: Annotated[str | None, Field(description="One mode, with its instructions")] = None
    cursor: str | None = None


class ModeCapability(BaseModel):
    """One mode and what it may do."""

    slug: str
    name: str
    origin: str
    groups: list[str]
    edit_pattern: str | None = None
    stage: str | None = None
    when_to_use: str | None = None
    problems: list[str] = Field(default_factory=list)
    role_definition: str | None = None
    custom_instructions: str | None = None
    instructions_length: int = 0


class ModeCapabilities(Result):
    """The modes that fit, and whether the product loads the file at all."""

    source: str | None
    verdict: str
    loaded: int
    total: int
    matching: int
    modes: list[ModeCapability]
    problems: list[str] = Field(default_factory=list)
    next_cursor: str | None = None

    def summary(self) -> str:
        """One line for each mode."""
        where = ", not saved in its editor" if self.source == "editor" else ""
        head = f"{self.matching} mode(s); the mode file{where} is {self.verdict}"
        lines = [f"{head}: {self.loaded} of {self.total} loaded.", *self.problems]
        for mode in self.modes:
            tools = ", ".join(mode.groups) or "no tool group"
            pattern = f" (edit only {mode.edit_pattern})" if mode.edit_pattern else ""
            about = f" - {mode.when_to_use}" if mode.when_to_use else ""
            lines.append(f"{mode.slug}: {mode.name} [{tools}]{pattern}{about}")
            lines += [f"  problem: {problem}" for problem in mode.problems]
            lines += [text for text in (mode.role_definition, mode.custom_instructions) if text]
        if self.next_cursor:
            lines.append(f"More with cursor {self.next_cursor}.")
        return "\n".join(lines)


@tool(title="Mode capabilities", category=Category.DEVELOPMENT, read_only=True)
def get_mode_capabilities(
    context: Context, request: GetModeCapabilitiesRequest
) -> ModeCapabilities:
    r"""List the modes of the mode file and the built-in ones, with their tool groups.

    Modes of a broken file are listed with the reason. Texts come with `slug` only.

    Example:
        {"filter_by_group": "command", "filter_by_stage": "implementation"}
        {"success": true, "modes": [{"slug": "implementation-core", "origin": "project"}]}
        {"slug": "planning-analysis"}
        {"modes": [{"groups": ["read", "edit"], "edit_pattern": "TODO\\.md$"}]}
    """
    file = modes_file(context)
    modes = [find_mode(context, request.slug)] if request.slug else list(known_modes(context))
    wanted = [mode for mode in modes if _fits(mode, request)]
    start = start_of(request.cursor)
    page = fitting(wanted[start : start + MAX_MODES], _size)
    problems, by_mode = _problems(context, file)
    full = request.slug is not None and request.include_instructions
    return ModeCapabilities(
        source=context.workspace.files.read(file.path, prefer_editor=True).source if file else None,
        verdict=file.load.verdict if file else "missing",
        loaded=len(file.load.modes) if file else 0,
        total=file.total if file else 0,
        matching=len(wanted),
        modes=[_capability(mode, by_mode.get(mode.slug, []), full=full) for mode in page],
        problems=problems[:MAX_PROBLEMS],
        next_cursor=cursor_after(start, len(page), len(wanted)),
    )


def _fits(mode: KnownMode, request: GetModeCapabilitiesRequest) -> bool:
    if request.filter_by_stage and mode.family != request.filter_by_stage:
        return False
    group = request.filter_by_group
    if group is None:
        return True
    groups = {*GROUP_TOOLS, *mode.group_names}
    if group not in groups and group not in STAGES:
        message = f"`{group}` is neither a tool group nor a slug family."
        hint = did_you_mean(group, [*groups, *STAGES]) or f"Families: {', '.join(STAGES)}."
        raise SidecarError(ErrorCode.INVALID, message, hint=hint)
    return group in mode.group_names or group == mode.family


def _capability(mode: KnownMode, problems: list[str], *, full: bool) -> ModeCapability:
    texts = (mode.role_definition, mode.custom_instructions or "")
    pattern = next((g.file_regex for g in mode.groups if g.name == "edit" and g.file_regex), None)
    return ModeCapability(
        slug=mode.slug,
        name=mode.name,
        origin=mode.origin,
        groups=list(mode.group_names),
        edit_pattern=pattern,
        stage=mode.family,
        when_to_use=_about(mode, full=full),
        problems=problems[:MAX_PROBLEMS],
        role_definition=mode.role_definition if full else None,
        custom_instructions=mode.custom_instructions if full else None,
        instructions_length=sum(map(len, texts)),
    )


def _about(mode: KnownMode, *, full: bool) -> str | None:
    about = mode.when_to_use or mode.description
    return about if full or about is None else cut(about, SHOWN)


def _size(mode: KnownMode) -> int:
    return SHOWN + len(mode.name) + len(mode.slug)


def _problems(context: Context, file: ModesFile | None) -> tuple[list[str], dict[str, list[str]]]:
    """The errors of the file as a whole, and those of each mode by its slug."""
    if file is None or file.load.verdict == "valid":
        return [], {}
    project = load_project(context.workspace, context.settings, context.clock())
    errors = [f for f in registry.check(Kind.MODES, file, project) if f.severity == "error"]
    general: list[str] = []
    by_mode: dict[str, list[str]] = {}
    for finding in errors:
        line = file.source.position(finding.span.start).line + 1
        inside = [m for m in file.modes if m.slug and m.span.contains(finding.span.start)]
        texts = by_mode.setdefault(inside[0].slug or "", []) if inside else general
        texts.append(f"{finding.code} line {line}: {finding.message}")
    return general, by_mode
