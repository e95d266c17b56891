"""Tools, resources and prompts that the official suite asks for by name: fixed answers."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from mcp.server import ServerRequestContext
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    ImageContent,
    InputRequiredResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
    Tool,
)

Request = ServerRequestContext[Any, Any]
Called = CallToolResult | InputRequiredResult
Handler = Callable[[Request, CallToolRequestParams], Awaitable[Called]]
NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True)
class Fixture:
    """One tool of the suite."""

    tool: Tool
    handler: Handler


@dataclass
class Fixtures:
    """The tools of the suite, gathered by decorators."""

    tools: dict[str, Fixture] = field(default_factory=dict)

    def tool(self, schema: dict[str, Any] | None = None) -> Callable[[Handler], Handler]:
        """Declare a tool: its name is the function's, in the suite's manner of naming."""

        def declare(handler: Handler) -> Handler:
            name = handler.__name__
            if not name.startswith("json_schema"):
                name = f"test_{name}"
            listing = Tool(
                name=name, description=handler.__doc__, input_schema=schema or NO_ARGUMENTS
            )
            self.tools[name] = Fixture(listing, handler)
            return handler

        return declare


def said(text: str) -> CallToolResult:
    """A result of one sentence."""
    return CallToolResult(content=[TextContent(type="text", text=text)])


def _png() -> str:
    """A PNG of one red pixel, in base64."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def _wav() -> str:
    """A WAV of one silent sample, in base64."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    data = fmt + b"data" + struct.pack("<I", 1) + b"\x80"
    return base64.b64encode(b"RIFF" + struct.pack("<I", 4 + len(data)) + b"WAVE" + data).decode()


IMAGE = ImageContent(type="image", data=_png(), mime_type="image/png")
FIXTURES = Fixtures()


def _embedded(uri: str, text: str) -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type="text/plain", text=text)
    return EmbeddedResource(type="resource", resource=contents)


@FIXTURES.tool()
async def simple_text(_: Request, __: CallToolRequestParams) -> Called:
    """Answer with a sentence."""
    return said("This is a simple text response for testing.")


@FIXTURES.tool()
async def image_content(_: Request, __: CallToolRequestParams) -> Called:
    """Answer with a picture."""
    return CallToolResult(content=[IMAGE])


@FIXTURES.tool()
async def audio_content(_: Request, __: CallToolRequestParams) -> Called:
    """Answer with a sound."""
    return CallToolResult(content=[AudioContent(type="audio", data=_wav(), mime_type="audio/wav")])


@FIXTURES.tool()
async def embedded_resource(_: Request, __: CallToolRequestParams) -> Called:
    """Answer with a resource."""
    return CallToolResult(
        content=[_embedded("test://embedded-resource", "This is an embedded resource content.")]
    )


@FIXTURES.tool()
async def multiple_content_types(_: Request, __: CallToolRequestParams) -> Called:
    """Answer with a sentence, a picture and a resource."""
    text = TextContent(type="text", text="Multiple content types test:")
    contents = TextResourceContents(
        uri="test://mixed-content-resource",
        mime_type="application/json",
        text=json.dumps({"test": "data", "value": 123}),
    )
    embedded = EmbeddedResource(type="resource", resource=contents)
    return CallToolResult(content=[text, IMAGE, embedded])


@FIXTURES.tool()
async def error_handling(_: Request, __: CallToolRequestParams) -> Called:
    """Fail."""
    told = said("This tool intentionally returns an error for testing")
    return told.model_copy(update={"is_error": True})


@FIXTURES.tool()
async def tool_with_progress(ctx: Request, _: CallToolRequestParams) -> Called:
    """Report progress three times."""
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"{done} of 100")
        await asyncio.sleep(0.05)
    return said("Done.")


@FIXTURES.tool()
async def tool_with_logging(ctx: Request, _: CallToolRequestParams) -> Called:
    """Send three log messages."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", text, related_request_id=ctx.request_id)
        await asyncio.sleep(0.05)
    return said("Done.")


@FIXTURES.tool()
async def logging_tool(ctx: Request, _: CallToolRequestParams) -> Called:
    """Send a log message, where the request asks for them."""
    await ctx.session.send_log_message("info", "Seen", related_request_id=ctx.request_id)
    return said("Done.")


_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@FIXTURES.tool(_2020_12)
async def json_schema_2020_12_tool(_: Request, __: CallToolRequestParams) -> Called:
    """Tool with JSON Schema 2020-12 features."""
    return said("Done.")


_REGION = {"type": "string", "x-mcp-header": "Region"}


@FIXTURES.tool({"type": "object", "properties": {"region": _REGION}})
async def x_mcp_header(_: Request, __: CallToolRequestParams) -> Called:
    """Take an argument that HTTP clients repeat in a header."""
    return said("Done.")


RESOURCES = (
    Resource(uri="test://static-text", name="static-text", mime_type="text/plain"),
    Resource(uri="test://static-binary", name="static-binary", mime_type="image/png"),
    Resource(uri="test://watched-resource", name="watched-resource", mime_type="text/plain"),
)
TEMPLATE = ResourceTemplate(uri_template="test://template/{id}/data", name="template-data")


def resource(uri: str) -> TextResourceContents | BlobResourceContents | None:
    """What the suite reads under an address; None for one that it never reads."""
    if uri == "test://static-text":
        text = "This is the content of the static text resource."
        return TextResourceContents(uri=uri, mime_type="text/plain", text=text)
    if uri == "test://static-binary":
        return BlobResourceContents(uri=uri, mime_type="image/png", blob=_png())
    if uri == "test://watched-resource":
        return TextResourceContents(uri=uri, mime_type="text/plain", text="Watched.")
    if uri.startswith("test://template/") and uri.endswith("/data"):
        part = uri.removeprefix("test://template/").removesuffix("/data")
        text = json.dumps({"id": part, "templateTest": True, "data": f"Data for ID: {part}"})
        return TextResourceContents(uri=uri, mime_type="application/json", text=text)
    return None


def _prompt(name: str, *arguments: str) -> Prompt:
    listed = [PromptArgument(name=each, description=each, required=True) for each in arguments]
    return Prompt(name=name, description="For the suite", arguments=listed or None)


PROMPTS = (
    _prompt("test_simple_prompt"),
    _prompt("test_prompt_with_arguments", "arg1", "arg2"),
    _prompt("test_prompt_with_embedded_resource", "resourceUri"),
    _prompt("test_prompt_with_image"),
    _prompt("test_input_required_result_prompt"),
)


def prompt(params: GetPromptRequestParams) -> GetPromptResult | None:
    """What the suite gets for a prompt; None for one that is not here."""
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            contents: list[Any] = ["This is a simple prompt for testing."]
        case "test_prompt_with_arguments":
            contents = [f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"]
        case "test_prompt_with_embedded_resource":
            text = "Embedded resource content for testing."
            contents = [_embedded(given["resourceUri"], text), "Please process the resource."]
        case "test_prompt_with_image":
            contents = [IMAGE, "Please analyze the image above."]
        case _:
            return None
    return messages(*contents)


def messages(*contents: Any) -> GetPromptResult:
    """A prompt of these parts; a string is a text."""
    return GetPromptResult(
        messages=[
            PromptMessage(
                role="user",
                content=TextContent(type="text", text=each) if isinstance(each, str) else each,
            )
            for each in contents
        ]
    )
