"""Changes of a schedules file as edits: every byte that is not meant stays."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.domain import tree
from sidecar.domain.edit import Edit
from sidecar.domain.schedules import Schedule, SchedulesFile, canonical, snake
from sidecar.domain.source import Span

_BLANK = re.compile(r"[ \t]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})")


class UneditableError(ValueError):
    """The file's root is neither empty nor an object, so there is no place for a schedule."""


@dataclass(frozen=True)
class _Layout:
    """How the text is laid out: line end, indentation of one level."""

    line_end: str
    unit: str

    @classmethod
    def of(cls, file: SchedulesFile) -> _Layout:
        return cls(file.line_end, file.indent)

    def render(self, value: object, indent: str | None) -> str:
        """The value as JSON; on one line where ``indent``, the first line's, is None."""
        if indent is None:
            return json.dumps(value, ensure_ascii=False)
        text = json.dumps(value, ensure_ascii=False, indent=self.unit)
        return text.replace("\n", self.line_end + indent)


def _indent_at(file: SchedulesFile, offset: int) -> str:
    """The indentation of the line in which an offset lies."""
    text = file.source.text
    start = 1 + max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset))
    blank = _BLANK.match(text, start)
    return blank[0] if blank else ""


def _spread(file: SchedulesFile, span: Span) -> bool:
    """Whether a container is written over several lines."""
    return "\n" in file.source.slice(span)


def set_fields(
    file: SchedulesFile, schedule: Schedule, changes: Mapping[str, object]
) -> tuple[Edit, ...]:
    """Give fields new values, by roo-scheduler's names or keys as written.

    Text stays text and a number a number where the new value allows it; an unchanged value gives
    no edit. New fields go to the end, in the spelling that the entry uses.
    """
    edits: list[Edit] = []
    new: dict[str, object] = {}
    for name, value in changes.items():
        key = _written_key(schedule, name)
        entry = schedule.node.entry(key)
        if entry is None:
            new[key] = value
        else:
            edits += _replace(file, entry.value, value)
    if new:
        edits.append(_append_entries(file, schedule.node, new, kept=len(schedule.node.entries)))
    return tuple(edits)


def _written_key(schedule: Schedule, name: str) -> str:
    """The key under which a field stands or is to stand."""
    known = canonical(name)
    if known is None or schedule.node.entry(name):
        return name
    if known in schedule.fields:
        return schedule.fields[known].key
    return snake(known) if schedule.snake_case else known


def _in_style(node: tree.Node, value: object) -> object:
    """A number as text where text stood, and the reverse."""
    if isinstance(node, tree.Scalar) and not isinstance(value, bool):
        if isinstance(node.value, str) and isinstance(value, int | float):
            return str(value)
        was_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        if was_number and isinstance(value, str) and _NUMBER.fullmatch(value):
            return int(value)
    return value


def _replace(file: SchedulesFile, node: tree.Node, value: object) -> list[Edit]:
    value = _in_style(node, value)
    if _same(tree.to_value(node), value):
        return []
    if isinstance(node, tree.Mapping) and isinstance(value, Mapping):
        entries = {str(entry.key.value): entry.value for entry in node.entries}
        if set(entries) == set(value):
            return [e for key, child in entries.items() for e in _replace(file, child, value[key])]
    indent = _indent_at(file, node.span.start) if _spread(file, node.span) else None
    return [Edit(node.span, _Layout.of(file).render(value, indent))]


def _same(old: object, new: object) -> bool:
    """Equality that tells true from 1."""
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def remove_fields(schedule: Schedule, names: Sequence[str]) -> tuple[Edit, ...]:
    """Take fields out, each with its comma."""
    if not names:
        return ()
    keys = {_written_key(schedule, name) for name in names}
    gone = [str(entry.key.value) in keys for entry in schedule.node.entries]
    return _remove([entry.span for entry in schedule.node.entries], gone)


def _remove(spans: Sequence[Span], gone: Sequence[bool]) -> tuple[Edit, ...]:
    """Delete some of a container's parts; leading ones with the comma behind them."""
    edits: list[Edit] = []
    kept_before = False
    for index, (span, is_gone) in enumerate(zip(spans, gone, strict=True)):
        if not is_gone:
            kept_before = True
        elif kept_before:
            edits.append(Edit(Span(spans[index - 1].end, span.end), ""))
        else:
            end = spans[index + 1].start if index + 1 < len(spans) else span.end
            edits.append(Edit(Span(span.start, end), ""))
    return tuple(edits)


def _append_entries(
    file: SchedulesFile, node: tree.Mapping, new: Mapping[str, object], *, kept: int
) -> Edit:
    """Insert keys behind an object's last, laid out as the ones before."""
    layout = _Layout.of(file)
    spread = _spread(file, node.span)
    if node.entries:
        last = node.entries[-1]
        at, indent = last.span.end, _indent_at(file, last.key.span.start)
        gap = file.source.slice(Span(last.key.span.end, last.value.span.start))
        colon = gap if gap.strip() == ":" else ": "
    else:
        at, indent = node.span.start + 1, _indent_at(file, node.span.start) + layout.unit
        colon = ": "
    lead = layout.line_end + indent if spread else (" " if kept else "")
    parts = []
    for key, value in new.items():
        text = layout.render(value, indent if spread else None)
        parts.append(f"{lead}{json.dumps(key, ensure_ascii=False)}{colon}{text}")
    return Edit(Span(at, at), ("," if kept else "") + ",".join(parts))


def add_schedule(file: SchedulesFile, values: Mapping[str, object]) -> tuple[Edit, ...]:
    """Append an entry; the keys are written as given. Raises UneditableError."""
    root = file.document.root
    listed = file.list_node
    if listed is not None:
        return (_append_item(file, listed, values),)
    text = file.source.text
    if not text.strip():
        layout = _Layout("\n", "  ")
        whole = layout.render({"schedules": [dict(values)]}, "") + "\n"
        return (Edit(Span(0, len(text)), whole),)
    if not isinstance(root, tree.Mapping):
        raise UneditableError(file.product.reason)
    old = root.get("schedules")
    new = [dict(values)]
    if old is not None:
        indent = _indent_at(file, old.span.start)
        return (Edit(old.span, _Layout.of(file).render(new, indent)),)
    return (_append_entries(file, root, {"schedules": new}, kept=len(root.entries)),)


def _append_item(file: SchedulesFile, listed: tree.Sequence, values: Mapping[str, object]) -> Edit:
    layout = _Layout.of(file)
    if listed.items:
        last = listed.items[-1].span
        spread = _spread(file, listed.span)
        if not spread:
            return Edit(Span(last.end, last.end), ", " + layout.render(dict(values), None))
        indent = _indent_at(file, last.start)
        compact = not _spread(file, last)
        text = layout.render(dict(values), None if compact else indent)
        return Edit(Span(last.end, last.end), f",{layout.line_end}{indent}{text}")
    outer = _indent_at(file, listed.span.start)
    indent = outer + layout.unit
    text = layout.render(dict(values), indent)
    end = layout.line_end
    return Edit(listed.span, f"[{end}{indent}{text}{end}{outer}]")


def remove_schedule(file: SchedulesFile, schedule: Schedule) -> tuple[Edit, ...]:
    """Take one entry out of the list, with its comma."""
    items = file.list_node.items if file.list_node else ()
    gone = [index == schedule.index for index in range(len(items))]
    return _remove([item.span for item in items], gone)
