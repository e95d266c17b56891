"""What ``tools/list`` tells: everything that a call needs, as much of the results as fits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mcp_types import Tool as Listing
from mcp_types import ToolAnnotations

from sidecar.mcp import schema
from sidecar.services.tool import ChangeResult, Tool

# An agent pays for the list in every conversation, and needs the results' types least of it.
MAX_BYTES = 24_700
_WHOLE = 5
_COMMON = frozenset(ChangeResult.model_fields)


def listed(tools: Iterable[Tool[Any, Any]]) -> list[Listing]:
    """The tools in their order; the largest result schemas are told less deeply until all fit."""
    tools = list(tools)
    whole = [schema.of_output(tool.result) for tool in tools]
    levels = [_WHOLE] * len(tools)
    listings = [_listing(tool, output) for tool, output in zip(tools, whole, strict=True)]
    sizes = [size([each]) for each in listings]
    while sum(sizes) - len(sizes) > MAX_BYTES and any(levels):  # brackets of each, commas of all
        candidates = [index for index, level in enumerate(levels) if level]
        at = max(candidates, key=lambda index: (levels[index], sizes[index]))
        levels[at] -= 1
        told = {"output_schema": _told(whole[at], levels[at])}
        listings[at] = listings[at].model_copy(update=told)
        sizes[at] = size(listings[at : at + 1])
    return listings


def _told(output: schema.Schema, level: int) -> schema.Schema:
    """A result's schema: ``level - 1`` objects deep, at 1 its own fields' types, at 0 no field."""
    if level > 1:
        return schema.shallow(output, level - 1)
    if level == 0:
        return {"type": "object"}
    bare = schema.shallow(output, 1)
    own = {name: kind for name, kind in bare["properties"].items() if name not in _COMMON}
    return {"type": "object", "properties": own}


def size(listings: list[Listing]) -> int:
    """Bytes of the listings as compact JSON."""
    return len(json.dumps([_wire(each) for each in listings], separators=(",", ":")).encode())


def _wire(listing: Listing) -> dict[str, Any]:
    return listing.model_dump(mode="json", by_alias=True, exclude_none=True)


def _listing(tool: Tool[Any, Any], output: schema.Schema) -> Listing:
    return Listing(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema.of_input(tool.request),
        output_schema=output,
        annotations=ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
        ),
    )
