"""What ``tools/list`` tells: everything that a call needs, as much of the results as fits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mcp_types import Tool as Listing
from mcp_types import ToolAnnotations

from sidecar.mcp import schema
from sidecar.services.tool import Tool

# An agent pays for the list in every conversation, and needs the results' types least of it.
MAX_BYTES = 24_500
_DEEPEST = 4


def listed(tools: Iterable[Tool[Any, Any]]) -> list[Listing]:
    """The tools in their order; the largest result schemas are told less deeply until all fit."""
    tools = list(tools)
    whole = [schema.of_output(tool.result) for tool in tools]
    depths = [_DEEPEST] * len(tools)
    listings = [_listing(tool, output) for tool, output in zip(tools, whole, strict=True)]
    while size(listings) > MAX_BYTES and max(depths, default=1) > 1:
        candidates = [index for index, depth in enumerate(depths) if depth > 1]
        largest = max(candidates, key=lambda index: size(listings[index : index + 1]))
        depths[largest] -= 1
        told = schema.shallow(whole[largest], depths[largest])
        listings[largest] = _listing(tools[largest], told)
    return listings


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
            open_world_hint=False,
        ),
    )
