"""The MCP face: every tool of the registry, served by the SDK's low-level server."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    GetPromptRequestParams,
    GetPromptResult,
    Implementation,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
)

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.suggest import did_you_mean
from sidecar.mcp import calls, resources
from sidecar.mcp.calls import DEADLINE_SECONDS, Answer, MakeContext, ToolCalls
from sidecar.mcp.completions import completion
from sidecar.mcp.direct import Tools
from sidecar.mcp.listing import listed
from sidecar.mcp.middleware import arguments_as_text, clear_words
from sidecar.mcp.prompts import PROMPTS
from sidecar.mcp.subscriptions import Subscriptions
from sidecar.services import registry
from sidecar.services.context import Client, Context, Progress, unheard
from sidecar.services.tool import Tool

log = logging.getLogger(__name__)

Request = ServerRequestContext[Any, Any]
T = TypeVar("T")

# Enough for every client of a workspace; more threads would only wait for the same locks.
CONCURRENT_CALLS = 16
# Two clients of one name on one machine tell themselves apart by this key of `_meta`.
SESSION_META_KEY = "sidecar/session"

_ASKERS_FAULT = frozenset({ErrorCode.NOT_FOUND, ErrorCode.INVALID, ErrorCode.TOO_LARGE})

INSTRUCTIONS = (
    "Tools for a workspace that agents work in by plain files: modes (.roomodes), schedules"
    " (.roo/schedules.json, the primary authority), the plan (TODO.md), the time log and the"
    " memory. Paths are relative to the workspace. A next_cursor in a result is the cursor of the"
    " next page; dry_run checks and tells, and changes nothing. Start with get_system_status."
)


def build(
    make_context: MakeContext,
    *,
    version: str,
    tools: Mapping[str, Tool[Any, Any]] = registry.TOOLS,
    deadline: float = DEADLINE_SECONDS,
    subscriptions: Subscriptions | None = None,
) -> McpServer:
    """A server whose every call asks ``make_context`` for what the tool may use.

    A call is answered within ``deadline`` seconds, whatever the tool does.
    """
    face = _Face(make_context, tools, deadline)
    watched = subscriptions or Subscriptions(lambda: make_context(Client(), unheard))
    server = McpServer(
        "loop-orchestrator",
        title="loop-orchestrator sidecar",
        version=version,
        instructions=INSTRUCTIONS,
        get_tool_input_schema=face.input_schema,
        on_list_tools=face.list_tools,
        on_call_tool=face.call_tool,
        on_list_resources=face.list_resources,
        on_list_resource_templates=face.list_resource_templates,
        on_read_resource=face.read_resource,
        on_subscribe_resource=watched.subscribe,
        on_unsubscribe_resource=watched.unsubscribe,
        on_subscriptions_listen=watched.listen,
        on_list_prompts=face.list_prompts,
        on_get_prompt=face.get_prompt,
        on_completion=face.complete,
    )
    server.middleware = [clear_words, arguments_as_text]
    server.tools = face.calls
    return server


class McpServer(Server[Any]):
    """The SDK's server, and the tools for those transports that need not ask it for each call."""

    tools: Tools


class _Face:
    """The handlers of one server."""

    def __init__(
        self, make_context: MakeContext, tools: Mapping[str, Tool[Any, Any]], deadline: float
    ) -> None:
        self._make_context = make_context
        self._tools = tools
        self.calls = ToolCalls(make_context, tools, deadline)
        self._listing = listed(tools.values())
        self._schemas = {each.name: each.input_schema for each in self._listing}
        self._limiter = anyio.CapacityLimiter(CONCURRENT_CALLS)

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        """A tool's arguments, for the check of HTTP headers against them."""
        return self._schemas.get(name)

    async def list_tools(self, _: Request, __: PaginatedRequestParams | None) -> ListToolsResult:
        """All tools, in the contract's order."""
        return ListToolsResult(tools=self._listing)

    async def call_tool(self, request: Request, params: CallToolRequestParams) -> CallToolResult:
        """Run a tool beside the event loop, until its deadline."""
        try:
            tool = registry.resolve(params.name, self._tools)
        except SidecarError as error:
            return told(calls.refusing(error))
        arguments = params.arguments or {}
        context = self._make_context(_client(request, self.calls.session), _progress(request))
        with anyio.move_on_after(self.calls.patience(arguments)):
            return await anyio.to_thread.run_sync(
                lambda: told(calls.outcome(tool, context, arguments)),
                abandon_on_cancel=True,
                limiter=self._limiter,
            )
        return told(self.calls.too_late(params.name, arguments))

    async def list_resources(
        self, _: Request, __: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """Everything that can be read without a call."""
        return ListResourcesResult(
            resources=[each.listing() for each in resources.RESOURCES.values()]
        )

    async def list_resource_templates(
        self, _: Request, __: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """The addresses of parts."""
        templates = [each.listing() for each in resources.FAMILIES.values()]
        return ListResourceTemplatesResult(resource_templates=templates)

    async def read_resource(
        self, request: Request, params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        """One resource as it is now."""
        source = resources.find(params.uri)
        if source is None:
            raise resources.missing(params.uri, request.protocol_version)
        text = await self._beside(
            request, lambda context: resources.read(context, source), {"uri": params.uri}
        )
        contents = TextResourceContents(uri=params.uri, mime_type=resources.MIME_TYPE, text=text)
        return ReadResourceResult(contents=[contents])

    async def list_prompts(
        self, _: Request, __: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        """Every prompt and its arguments."""
        return ListPromptsResult(prompts=[each.listing() for each in PROMPTS.values()])

    async def get_prompt(self, request: Request, params: GetPromptRequestParams) -> GetPromptResult:
        """One prompt with the facts of this moment."""
        template = PROMPTS.get(params.name)
        if template is None:
            told = did_you_mean(params.name, PROMPTS) or f"The prompts are: {', '.join(PROMPTS)}."
            raise MCPError(INVALID_PARAMS, f"There is no prompt `{params.name[:200]}`. {told}")
        given = params.arguments or {}
        missing = [a.name for a in template.arguments if a.required and not given.get(a.name)]
        if missing:
            raise MCPError(INVALID_PARAMS, f"`{template.name}` needs {', '.join(missing)}.")
        text = await self._beside(request, lambda context: template.text(context, given))
        message = PromptMessage(role="user", content=TextContent(type="text", text=text))
        return GetPromptResult(description=template.description, messages=[message])

    async def complete(self, request: Request, params: CompleteRequestParams) -> CompleteResult:
        """Values for a prompt's argument or a part of an address."""
        asked = params.argument
        found = await self._beside(
            request, lambda context: completion(context, params.ref, asked.name, asked.value)
        )
        return CompleteResult(completion=found)

    async def _beside(self, request: Request, work: Callable[[Context], T], data: Any = None) -> T:
        """Run work beside the event loop; a refusal becomes a protocol error with its sentence."""
        context = self._make_context(_client(request, self.calls.session), _progress(request))
        try:
            return await anyio.to_thread.run_sync(
                partial(work, context), abandon_on_cancel=True, limiter=self._limiter
            )
        except SidecarError as error:
            code = INVALID_PARAMS if error.code in _ASKERS_FAULT else INTERNAL_ERROR
            raise MCPError(code, f"{error.code.value}: {error}", data) from error


def told(answer: Answer) -> CallToolResult:
    """An answer as the SDK takes it."""
    fitting = answer.fitting()
    return CallToolResult(
        content=[TextContent(type="text", text=fitting.text)],
        structured_content=fitting.structured,
        is_error=fitting.is_error,
    )


def _client(request: Request, process: str) -> Client:
    """Who asks: the name it gave, and its session."""
    params = request.session.client_params
    info = params.client_info if params is not None else None
    name = info.name if info is not None else "unknown"
    asked = request.request
    if asked is None:
        return Client(name=name, session=process)
    named = asked.headers.get("mcp-session-id") or asked.query_params.get("session_id")
    return Client(name=name, session=named[:200] if named else _unnamed_session(request, info))


def _unnamed_session(request: Request, info: Implementation | None) -> str:
    """The session of an HTTP client since 2026, which names none: its own word for it, or itself.

    Connections come and go between two calls, so what lasts is the program and its machine.
    """
    own = (request.meta or {}).get(SESSION_META_KEY)
    peer = request.request.client if request.request is not None else None
    host = peer.host if peer is not None else ""
    of_program = (info.name, info.version, host) if info is not None else ("", "", host)
    parts = ("own", own) if isinstance(own, str) else ("program", *of_program)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _progress(request: Request) -> Progress:
    """Reports from the worker's thread; the SDK drops them where no token was given."""
    if request.meta is None or request.meta.get("progress_token") is None:
        return lambda _done, _total, _message: None
    loop = asyncio.get_running_loop()

    def report(done: float, total: float | None, message: str) -> None:
        sending = request.session.report_progress(done, total, message)
        asyncio.run_coroutine_threadsafe(sending, loop)

    return report
