"""Rules on the fields of a mode."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Kind
from sidecar.domain.modes import KEY, Mode, ModesFile, is_lone_pair
from sidecar.domain.modes_profile import OPTIONAL_TEXTS, REQUIRED_TEXTS
from sidecar.domain.modes_schema import SLUG, kind_of, wrong_type
from sidecar.domain.project import Project
from sidecar.domain.source import Span
from sidecar.domain.suggest import nearest
from sidecar.domain.tree import Entry, Mapping, Node, Scalar, Sequence, Style, Value
from sidecar.domain.yaml_edit import (
    insert_entry,
    line_start,
    next_line,
    remove_entry,
    replace_scalar,
    scalar_source,
)
from sidecar.rules.each_mode import each_mode
from sidecar.rules.rule import Hit, rule

WORDS = re.compile(r"[A-Za-z0-9]+")


def loses_all(file: ModesFile) -> str:
    """What follows from an error in one mode."""
    return f"{file.profile.title} rejects the whole file for it"


def slugified(text: str) -> str:
    """A slug made of the letters and digits of a text."""
    return "-".join(WORDS.findall(text)).lower() or "mode"


def titled(slug: str) -> str:
    """A display name made of a slug."""
    return slug.replace("-", " ").replace("_", " ").strip().title() or "Mode"


@rule("RM007", Severity.ERROR, Kind.MODES)
@each_mode
def missing_field(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    """A mode lacks `slug`, `name`, `roleDefinition` or `groups`.

    All four are required; `groups` may be an empty list. One mode without one of them makes Roo
    reject the whole file.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
    Bad:
        {"customModes": [{"slug": "docs", "roleDefinition": "You write.", "groups": []}]}
    Bad:
        customModes:
          - slug: docs
            name: Docs
            role_definition: You write documentation.
            groups: []
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: []
    """
    missing = [name for name in (*REQUIRED_TEXTS, "groups") if not mode.has(name)]
    if missing and _is_comment(mode):
        return
    for name in missing:
        head = f"This mode has no `{name}`, and {loses_all(file)}."
        meant = _misspelt(mode, name)
        if meant is not None:
            key = file.source.slice(meant)
            told = f"{head} Is `{key}` meant? Names are read letter by letter."
            quoted = key[:1] if key[:1] in {'"', "'"} else ""
            edit = Edit(meant, f"{quoted}{name}{quoted}")
            yield Hit(meant, told, (Fix(f"Write `{name}`", (edit,)),))
            continue
        hint = "Add it, at least as `[]`." if name == "groups" else "Add it."
        yield Hit(mode.head, f"{head} {hint}", _stub(file, mode, name))


def _misspelt(mode: Mode, name: str) -> Span | None:
    """The key that is surely this name with a slip in it: not known, and like no other name."""
    known = (*REQUIRED_TEXTS, "groups", *OPTIONAL_TEXTS)
    keys = [e.key for e in mode.node.entries if str(e.key.value) not in known]
    alike = (key for key in keys if nearest(str(key.value), known, cutoff=0.8) == name)
    return next((key.span for key in alike), None)


def _is_comment(mode: Mode) -> bool:
    return any(str(entry.key.value).startswith("//") for entry in mode.node.entries)


def _stub(file: ModesFile, mode: Mode, name: str) -> tuple[Fix, ...]:
    slug = mode.slug or slugified(mode.name or f"mode-{mode.index + 1}")
    texts = {
        "slug": slug,
        "name": titled(slug),
        "roleDefinition": f"You are {mode.name or titled(slug)}.",
    }
    quote = mode.node.flow
    source = scalar_source(texts[name], quote=quote) if name in texts else _read_only(quote=quote)
    if not mode.node.entries and not mode.node.flow:
        return ()
    after = _entry_before(mode, name)
    edit = insert_entry(file.source.text, mode.node, after, name, source)
    return (Fix(f"Insert `{name}`", (edit,), safe=False),)


def _read_only(*, quote: bool) -> str:
    return '["read"]' if quote else "[read]"


def _entry_before(mode: Mode, name: str) -> Entry | None:
    if name == "groups":
        return mode.node.entries[-1] if mode.node.entries else None
    before = REQUIRED_TEXTS[: REQUIRED_TEXTS.index(name)]
    present = [entry for entry in mode.node.entries if entry.key.value in before]
    return present[-1] if present else None


@rule("RM008", Severity.ERROR, Kind.MODES)
@each_mode
def empty_required(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    """A mode's `name` or `roleDefinition` is empty.

    Both need at least one character. An empty one makes Roo reject the whole file.

    Bad:
        customModes:
          - slug: docs
            name: ""
            roleDefinition: You write documentation.
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    """
    for name in ("name", "roleDefinition"):
        node = mode.node.get(name)
        if isinstance(node, Scalar) and node.value == "":
            title = titled(mode.slug or "mode")
            text = title if name == "name" else f"You are {mode.name or title}."
            source = scalar_source(text, node.style)
            space = "" if node.style in {Style.SINGLE, Style.DOUBLE} else " "
            fix = Fix("Fill it in from the slug", (Edit(node.span, space + source),), safe=False)
            message = f"`{name}` is empty, and {loses_all(file)}. Write at least one character."
            yield Hit(_span(mode, name), message, (fix,))


def _span(mode: Mode, name: str) -> Span:
    entry = mode.entry(name)
    if entry is None:
        return mode.head
    value = entry.value.span
    return value if value.end > value.start else entry.key.span


@rule("RM009", Severity.ERROR, Kind.MODES)
@each_mode
def bad_slug(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    """A slug holds something else than letters, digits and dashes.

    Underscores, spaces, dots, emoji and the empty slug make Roo reject the whole file. After
    changing a slug change it also where schedules, instructions and rules folders name it.

    Bad:
        customModes:
          - slug: docs_writer
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    Good:
        customModes:
          - slug: docs-writer
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    """
    node = mode.node.get("slug")
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return
    if SLUG.fullmatch(node.value):
        return
    better = slugified(node.value or mode.name or "")
    message = (
        f"The slug `{node.value}` may hold only letters, digits and dashes; "
        f"{loses_all(file)}. Use `{better}`."
    )
    fix = Fix(f"Change to `{better}`", (replace_scalar(node, better),), safe=False)
    yield Hit(_span(mode, "slug"), message, (fix,))


@rule("RM011", Severity.ERROR, Kind.MODES)
def duplicate_slug(file: ModesFile, _: Project) -> Iterator[Hit]:
    """Two modes have the same slug.

    Roo does not let the later one win: it rejects the whole file. Rename or delete one of them.
    Upper and lower case differ.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
          - slug: docs
            name: More docs
            roleDefinition: You write more documentation.
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
          - slug: docs-more
            name: More docs
            roleDefinition: You write more documentation.
            groups: [read]
    """
    first: dict[str, Mode] = {}
    for mode in file.modes:
        slug = mode.text("slug")
        if slug is None or first.setdefault(slug, mode) is mode:
            continue
        node = mode.node.get("slug")
        if not isinstance(node, Scalar):
            continue
        line = file.source.position(first[slug].head.start).line + 1
        message = (
            f"The slug `{slug}` is taken by the mode in line {line}, and {loses_all(file)}. "
            "Rename or delete one of the two."
        )
        yield Hit(_span(mode, "slug"), message, _other_slug(file, mode, node))


def _other_slug(file: ModesFile, mode: Mode, node: Scalar) -> tuple[Fix, ...]:
    number = 2
    while f"{node.value}-{number}" in file.slugs:
        number += 1
    name = f"{node.value}-{number}"
    rename = Fix(f"Rename to `{name}`", (replace_scalar(node, name),), safe=False)
    text, span = file.source.text, mode.span
    start = line_start(text, span.start)
    if mode.node.flow or text[start : span.start].strip() != "-":
        return (rename,)
    end = next_line(text, span.end)
    delete = Fix("Delete this mode", (Edit(Span(start, end), ""),), safe=False)
    return (rename, delete)


@rule("RM014", Severity.ERROR, Kind.MODES)
@each_mode
def bad_source(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    """A mode's `source` is a word that Roo does not know.

    Only `project` and `global` are allowed, and Roo sets the field itself by the file in which the
    mode stands. Remove the key.

    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
            source: local
    Good:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            groups: [read]
    """
    entry = mode.entry("source")
    if entry is None:
        return
    if isinstance(entry.value, Scalar) and entry.value.value in file.profile.sources:
        return
    words = " or ".join(f"`{source}`" for source in file.profile.sources)
    message = (
        f"`source` can only be {words}, and {loses_all(file)}. "
        f"Remove the key: {file.profile.title} sets it by itself."
    )
    fix = Fix("Remove `source`", (remove_entry(file.source.text, mode.node, entry),))
    yield Hit(_span(mode, "source"), message, (fix,))


@rule("RM037", Severity.ERROR, Kind.MODES)
def wrong_field_type(file: ModesFile, project: Project) -> Iterator[Hit]:
    """A value has another type than Roo expects.

    YAML reads `123` as a number, `true` as a boolean and an empty value as null, while Roo wants
    text: put it in quotes, or remove the key. `yes` and dates are text already.

    Bad:
        customModes:
          - slug: docs
            name: 2024
            roleDefinition: You write documentation.
            groups: [read]
    Bad:
        customModes:
          - slug: docs
            name: Docs
            roleDefinition: You write documentation.
            whenToUse:
            groups: [read]
    Good:
        customModes:
          - slug: docs
            name: "2024"
            roleDefinition: You write documentation.
            groups: [read]
    """
    yield from _not_modes(file)
    yield from _wrong_texts(file, project)


@each_mode
def _wrong_texts(file: ModesFile, mode: Mode) -> Iterator[Hit]:
    for name in (*REQUIRED_TEXTS, *OPTIONAL_TEXTS, *file.profile.texts):
        entry = mode.entry(name)
        if entry is None or (isinstance(entry.value, Scalar) and _is_text(entry.value)):
            continue
        message = (
            f"`{name}` must be text, and {loses_all(file)} "
            f"({wrong_type('string', _sample(entry.value))})."
        )
        yield Hit(_span(mode, name), message, _as_text(file, mode, entry))


def _is_text(node: Scalar) -> bool:
    return isinstance(node.value, str)


def _not_modes(file: ModesFile) -> Iterator[Hit]:
    root = file.document.root
    holder = root.get(KEY) if isinstance(root, Mapping) else None
    if file.load.verdict != "schema-error" or holder is None:
        return
    if not isinstance(holder, Sequence):
        message = (
            f"`{KEY}` must be a list of modes, and {loses_all(file)}. Begin each mode with `-`."
        )
        span = holder.span if holder.span.end > holder.span.start else Span(0, 0)
        yield Hit(span, message)
        return
    pairs = [item for item in holder.items if is_lone_pair(item)]
    if pairs:
        message = f"The keys of a mode need braces around them, and {loses_all(file)}."
        yield Hit(pairs[0].span, f"{message} Write `{{` before this one.")
    for item in holder.items:
        if not isinstance(item, Mapping):
            kind = kind_of(_sample(item))
            message = f"A mode must be a mapping with `slug` and the rest, not {kind}."
            yield Hit(item.span, f"{message} {loses_all(file).capitalize()}.")


def _sample(node: Node) -> Value:
    if isinstance(node, Scalar):
        return node.value
    return [] if isinstance(node, Sequence) else {}


def _as_text(file: ModesFile, mode: Mode, entry: Entry) -> tuple[Fix, ...]:
    name, node = str(entry.key.value), entry.value
    if isinstance(node, Scalar) and node.span.end > node.span.start and node.value is not None:
        source = scalar_source(file.source.slice(node.span), quote=True)
        return (Fix("Put it in quotes", (Edit(node.span, source),)),)
    if name in REQUIRED_TEXTS or not isinstance(node, Scalar):
        return ()
    return (Fix(f"Remove `{name}`", (remove_entry(file.source.text, mode.node, entry),)),)
