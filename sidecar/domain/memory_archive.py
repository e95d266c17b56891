"""Which entries leave the memory when its budget is passed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidecar.domain.edit import Edit
from sidecar.domain.memory import Entry, MemoryFile, Section


def archive(file: MemoryFile, name: str, *, free: int) -> tuple[Entry, ...]:
    """The entries that must leave so that so many lines become free.

    The section's generated entries go first, oldest first; then its dated ones, then the other
    sections'. Fewer lines become free where nothing else is dated.
    """
    if free <= 0:
        return ()
    home = file.section(name)
    chosen: list[Entry] = []
    for index in _movable(file, home):
        if free <= 0:
            break
        chosen.append(file.placed[index].moved(index))
        free -= chosen[-1].lines
    return tuple(chosen)


def remove_entries(entries: Iterable[Entry]) -> tuple[Edit, ...]:
    """The change that takes entries out."""
    return tuple(Edit(entry.span, "") for entry in entries)


def _movable(file: MemoryFile, home: Section | None) -> Iterator[int]:
    """The entries that may leave, the least reluctant first."""
    groups: dict[tuple[bool, bool], list[tuple[float, int]]] = {}
    own = None if home is None else home.index
    for index, (entry, _, _) in enumerate(file.placed):
        if entry.id or entry.timestamp:
            time = entry.timestamp.timestamp() if entry.timestamp else 0.0
            groups.setdefault((entry.section != own, entry.id is None), []).append((time, index))
    return (index for group in sorted(groups) for _, index in sorted(groups[group]))
