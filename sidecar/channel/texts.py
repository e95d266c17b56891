"""The texts that an editor has open, as far as another sidecar must be told of them."""

from __future__ import annotations

import re

from sidecar.channel.message import Json

# Changes are kept as they came until there are so many, or the text is asked for.
MOST_CHANGES = 200
# LSP 3.17: these and nothing else end a line.
_LINE_END = re.compile(r"\r\n|\n|\r")


class Text:
    """One open document."""

    def __init__(self, item: Json, units: str) -> None:
        self._item = item
        self._units = units
        self._changes: list[Json] = []

    def change(self, params: Json) -> None:
        """Note a change."""
        version = params.get("textDocument", {}).get("version", self._item.get("version"))
        self._item["version"] = version
        for change in params.get("contentChanges", []):
            if "range" not in change:
                self._item["text"] = change["text"]
                self._changes.clear()
            else:
                self._changes.append(change)
        if len(self._changes) > MOST_CHANGES:
            self._settle()

    def item(self) -> Json:
        """The document as ``didOpen`` tells it."""
        self._settle()
        return self._item

    def _settle(self) -> None:
        text = self._item["text"]
        for change in self._changes:
            text = changed(text, change, self._units)
        self._item["text"] = text
        self._changes.clear()


def changed(text: str, change: Json, units: str) -> str:
    """The text after one change of a range."""
    starts = [0, *(found.end() for found in _LINE_END.finditer(text))]
    start = _offset(text, starts, change["range"]["start"], units)
    end = _offset(text, starts, change["range"]["end"], units)
    return text[:start] + str(change["text"]) + text[max(start, end) :]


def _offset(text: str, starts: list[int], position: dict[str, int], units: str) -> int:
    """The index of a position; beyond the end of a line it is that end."""
    line, column = position["line"], position["character"]
    if line >= len(starts):
        return len(text)
    start = starts[line]
    limit = starts[line + 1] if line + 1 < len(starts) else len(text)
    content = _LINE_END.sub("", text[start:limit])
    if units == "utf-32":
        return start + min(column, len(content))
    taken = 0
    for index, character in enumerate(content):
        width = (
            1 + (character > "\uffff")
            if units == "utf-16"
            else len(character.encode("utf-8", "surrogatepass"))
        )
        if taken + width > column:
            return start + index
        taken += width
    return start + len(content)
