"""Rules on the tool groups of a mode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sidecar.domain import ecma
from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.modes import Group, Mode, ModesFile
from sidecar.domain.source import Span
from sidecar.domain.suggest import nearest
from sidecar.domain.tree import Entry, Mapping, Node, Scalar, Sequence
from sidecar.domain.yaml_edit import remove_item, replace_scalar, scalar_source
from sidecar.rules.each_mode import each_mode
from sidecar.rules.modes_fields import loses_all
from sidecar.rules.rule import Hit, rule

# What people write for a group, beside what is merely misspelt.
MEANT = {
    "files": "read",
    "file": "read",
    "search": "read",
    "write": "edit",
    "modify": "edit",
    "execute": "command",
    "terminal": "command",
    "shell": "command",
    "bash": "command",
    "run": "command",
    "mcp_tools": "mcp",
    "tools": "mcp",
    "mode": "modes",
    "workflow": "modes",
    "new_task": "modes",
    "switch_mode": "modes",
}


class Placed(NamedTuple):
    """A tool group where it stands."""

    entry: Entry
    position: int
    group: Group


def groups_of(mode: Mode) -> Iterator[Placed]:
    """Every tool group of a mode."""
    entry = mode.entry("groups")
    if entry is not None:
        for index, group in enumerate(mode.groups):
            yield Placed(entry, index, group)


def is_dropped(file: ModesFile, group: Group) -> bool:
    """Whether the product drops this group before it checks anything."""
    return group.name in file.profile.dropped


@rule("RM006", Severity.ERROR, Kind.MODES)
@each_mode
def unknown_group(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    """A tool group does not exist in this product.

    Roo knows `read`, `edit`, `command`, `mcp` and `modes`, in lower case. Any other word makes it
    reject the whole file. Other products have further groups: Zoo `web`, Kilo `browser`, Bob
    `skill`, `subagent` and `execute`.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read, edti]
    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
              - execute
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
              - command
    """
    for placed in groups_of(mode):
        group = placed.group
        name, node = group.name, group.name_node
        if name is None or node is None or name in file.profile.groups or is_dropped(file, group):
            continue
        known = ", ".join(f"`{one}`" for one in file.profile.groups)
        meant = _meant(name, file)
        hint = f" Did you mean `{meant}`?" if meant else f" It knows {known}."
        message = f"`{name}` is no tool group of {file.profile.title}: {loses_all(file)}.{hint}"
        yield Hit(node.span, message, _regrouped(file, placed, meant))


def _meant(name: str, file: ModesFile) -> str | None:
    other = MEANT.get(name.lower())
    return other if other in file.profile.groups else nearest(name, file.profile.groups)


def _regrouped(file: ModesFile, placed: Placed, meant: str | None) -> tuple[Fix, ...]:
    group, node = placed.group, placed.group.name_node
    taken = [_name_of(item) for item in _items(placed.entry)]
    if meant is not None and node is not None and meant not in taken:
        sure = group.name is not None and nearest(group.name, [meant]) is not None
        return (Fix(f"Change to `{meant}`", (replace_scalar(node, meant),), safe=sure),)
    edit = remove_item(file.source.text, placed.entry, placed.position)
    return (Fix(f"Remove `{group.name}`", (edit,), safe=False),) if edit else ()


def _items(entry: Entry) -> tuple[Node, ...]:
    return entry.value.items if isinstance(entry.value, Sequence) else ()


def _name_of(item: Node) -> str | None:
    return Group(item).name


@rule("RM013", Severity.ERROR, Kind.MODES)
@each_mode
def tuple_shape(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    r"""A tool group with options is not written as a pair.

    A group is a name, or a list of exactly two items: the name and a mapping with `fileRegex` and
    `description`. A mapping `edit: {...}`, one item, three items or `groups` as text make Roo
    reject the whole file.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
              - edit:
                  fileRegex: \.md$
                  description: Markdown only
    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - - edit
                - fileRegex: \.md$
                - description: Markdown only
    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: read, edit
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
              - - edit
                - fileRegex: \.md$
                  description: Markdown only
    """
    entry = mode.entry("groups")
    if entry is not None and not isinstance(entry.value, Sequence):
        yield _not_a_list(file, entry)
    for group in (placed.group for placed in groups_of(mode)):
        if is_dropped(file, group) or _well_shaped(group):
            continue
        message = (
            f"A tool group is a name, or a list of a name and its options: {loses_all(file)}. "
            "Write `- - edit` and, below it, `- fileRegex: …`."
        )
        span = (
            group.span
            if group.span.end > group.span.start
            else Span(group.span.start, group.span.start)
        )
        yield Hit(span, message, _reshaped(file, group, quote=mode.node.flow))


def _not_a_list(file: ModesFile, entry: Entry) -> Hit:
    value = entry.value
    message = f"`groups` must be a list, and {loses_all(file)}. Write `groups: [read, edit]`."
    if value.span.end == value.span.start:
        fix = Fix("Write an empty list", (Edit(value.span, " []"),), safe=False)
        return Hit(entry.key.span, message, (fix,))
    text = str(value.value) if isinstance(value, Scalar) else ""
    names = [name for name in re.split(r"[,\s]+", text) if name]
    if isinstance(value, Mapping):
        names = [name for name in value.names() if name in file.profile.groups]
    known = names and all(name in file.profile.groups for name in names)
    source = "[" + ", ".join(dict.fromkeys(names)) + "]"
    if isinstance(value, Mapping) and not value.flow:
        source = ""
    fixes = (Fix(f"Change to `{source}`", (Edit(value.span, source),), safe=False),)
    return Hit(value.span, message, fixes if known and source else ())


def _well_shaped(group: Group) -> bool:
    node = group.node
    if isinstance(node, Scalar):
        return isinstance(node.value, str)
    if isinstance(node, Mapping) or len(node.items) != 2 or group.name is None:
        return False
    options = group.options
    if options is None:
        return False
    values = (options.get(name) for name in ("fileRegex", "description"))
    return all(v is None or (isinstance(v, Scalar) and isinstance(v.value, str)) for v in values)


def _reshaped(file: ModesFile, group: Group, *, quote: bool) -> tuple[Fix, ...]:
    """The same group as a name or as a pair in brackets."""
    name, options = _meaning(group.node)
    if name is None or name not in file.profile.groups:
        return ()
    shown = [f"{_key(k, quote=quote)}: {scalar_source(v, quote=True)}" for k, v in options.items()]
    word = scalar_source(name, quote=quote)
    source = f"[{word}, {{{', '.join(shown)}}}]" if shown else word
    return (Fix(f"Change to `{source}`", (Edit(group.span, source),), safe=False),)


def _key(name: str, *, quote: bool) -> str:
    return f'"{name}"' if quote else name


def _meaning(node: Node) -> tuple[str | None, dict[str, str]]:
    options: dict[str, str] = {}
    name: str | None = None
    parts = node.items if isinstance(node, Sequence) else (node,)
    for part in parts:
        if isinstance(part, Scalar):
            if isinstance(part.value, str) and name is None:
                name = part.value
            elif isinstance(part.value, str) and ecma.error(part.value) is None:
                options.setdefault("fileRegex", part.value)
        elif isinstance(part, Mapping):
            name = _options_into(part, options, name)
    return name, options


def _options_into(part: Mapping, options: dict[str, str], name: str | None) -> str | None:
    for entry in part.entries:
        key, value = str(entry.key.value), entry.value
        if key in {"fileRegex", "description"}:
            if isinstance(value, Scalar) and isinstance(value.value, str):
                options[key] = value.value
        elif name is None:
            name = key
            if isinstance(value, Mapping):
                _options_into(value, options, name)
    return name


@rule("RM015", Severity.ERROR, Kind.MODES)
@each_mode
def duplicate_group(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    """A tool group is listed twice in one mode.

    Roo compares by name, so `edit` and a pair that begins with `edit` are the same, and two pairs
    for two patterns are impossible. It rejects the whole file. Join two patterns with `|`.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read, edit, read]
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read, edit]
    """
    seen: set[str] = set()
    for placed in groups_of(mode):
        group, name = placed.group, placed.group.name
        if name is None or is_dropped(file, group) or name not in file.profile.groups:
            continue
        if name not in seen:
            seen.add(name)
            continue
        message = f"`{name}` is listed twice in this mode, and {loses_all(file)}. Remove one."
        edit = remove_item(file.source.text, placed.entry, placed.position)
        plain = isinstance(group.node, Scalar)
        fixes = (Fix("Remove the second one", (edit,), safe=plain),) if edit else ()
        yield Hit(group.span, message, fixes)


@rule("RM016", Severity.WARNING, Kind.MODES)
@each_mode
def deprecated_browser(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    """The tool group `browser` is ignored.

    Roo removed it in 3.48 (February 2026) and drops it silently, so the mode has no browser. Kilo
    still has the group.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
              - browser
    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - browser
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups:
              - read
    """
    for placed in groups_of(mode):
        group = placed.group
        if not is_dropped(file, group):
            continue
        message = (
            f"{file.profile.title} has no tool group `{group.name}` any more and ignores it: the "
            "mode gets no browser. Remove it, or use an MCP server."
        )
        edit = remove_item(file.source.text, placed.entry, placed.position)
        fixes = (Fix(f"Remove `{group.name}`", (edit,)),) if edit else ()
        yield Hit(group.span, message, fixes)
