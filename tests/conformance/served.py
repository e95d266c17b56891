"""The real server over HTTP without a token, for the official suite; with its fixtures if told so.

The fixtures stand beside the 20 tools and pass through the same server, guard and transports.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcp.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import (
    CallToolRequestParams,
    EmptyResult,
    GetPromptRequestParams,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    SetLevelRequestParams,
)

from sidecar.cli.mcp import leave
from sidecar.mcp import http, resources, server
from sidecar.mcp.subscriptions import Subscriptions
from sidecar.services.context import Client, Context, Progress
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace
from tests.conformance import content
from tests.conformance.asking import asking_prompt
from tests.conformance.content import FIXTURES, Called, Request, said


def mount(real: Server[Any], subscriptions: Subscriptions) -> None:
    """Put the suite's fixtures in front of a server's own handlers."""
    bus = subscriptions.bus

    @FIXTURES.tool()
    async def trigger_tool_change(_: Request, __: CallToolRequestParams) -> Called:
        """Say that the tools have changed."""
        await bus.publish(ToolsListChanged())
        return said("Done.")

    @FIXTURES.tool()
    async def trigger_prompt_change(_: Request, __: CallToolRequestParams) -> Called:
        """Say that the prompts have changed."""
        await bus.publish(PromptsListChanged())
        return said("Done.")

    _mount_tools(real)
    _mount_resources(real)
    _mount_prompts(real)

    async def set_level(_: Request, __: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    real.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
    security = RequestStateSecurity.ephemeral()
    real.middleware.append(RequestStateBoundary(security, default_audience=real.name))


def _own(real: Server[Any], method: str) -> Any:
    entry = real.get_request_handler(method)
    assert entry is not None, method
    return entry.handler


def _mount_tools(real: Server[Any]) -> None:
    own_list, own_call = _own(real, "tools/list"), _own(real, "tools/call")

    async def list_tools(ctx: Request, params: PaginatedRequestParams) -> ListToolsResult:
        listed = await own_list(ctx, params)
        fixtures = [each.tool for each in FIXTURES.tools.values()]
        return ListToolsResult(tools=[*listed.tools, *fixtures])

    async def call_tool(ctx: Request, params: CallToolRequestParams) -> Called:
        fixture = FIXTURES.tools.get(params.name)
        if fixture is not None:
            return await fixture.handler(ctx, params)
        return await own_call(ctx, params)

    own_schema = real.get_tool_input_schema
    assert own_schema is not None

    def schema(name: str) -> Mapping[str, Any] | None:
        fixture = FIXTURES.tools.get(name)
        return fixture.tool.input_schema if fixture is not None else own_schema(name)

    real.get_tool_input_schema = schema
    real.add_request_handler("tools/list", PaginatedRequestParams, list_tools)
    real.add_request_handler("tools/call", CallToolRequestParams, call_tool)


def _mount_resources(real: Server[Any]) -> None:
    own_list, own_read = _own(real, "resources/list"), _own(real, "resources/read")
    own_templates = _own(real, "resources/templates/list")

    async def list_resources(ctx: Request, params: PaginatedRequestParams) -> ListResourcesResult:
        listed = await own_list(ctx, params)
        return ListResourcesResult(resources=[*listed.resources, *content.RESOURCES])

    async def list_templates(
        ctx: Request, params: PaginatedRequestParams
    ) -> ListResourceTemplatesResult:
        listed = await own_templates(ctx, params)
        templates = [*listed.resource_templates, content.TEMPLATE]
        return ListResourceTemplatesResult(resource_templates=templates)

    async def read_resource(ctx: Request, params: ReadResourceRequestParams) -> ReadResourceResult:
        found = content.resource(params.uri)
        return ReadResourceResult(contents=[found]) if found else await own_read(ctx, params)

    real.add_request_handler("resources/list", PaginatedRequestParams, list_resources)
    real.add_request_handler("resources/templates/list", PaginatedRequestParams, list_templates)
    real.add_request_handler("resources/read", ReadResourceRequestParams, read_resource)


def _mount_prompts(real: Server[Any]) -> None:
    own_list, own_get = _own(real, "prompts/list"), _own(real, "prompts/get")

    async def list_prompts(ctx: Request, params: PaginatedRequestParams) -> ListPromptsResult:
        listed = await own_list(ctx, params)
        return ListPromptsResult(prompts=[*listed.prompts, *content.PROMPTS])

    async def get_prompt(ctx: Request, params: GetPromptRequestParams) -> Any:
        if params.name == "test_input_required_result_prompt":
            return asking_prompt(params)
        return content.prompt(params) or await own_get(ctx, params)

    real.add_request_handler("prompts/list", PaginatedRequestParams, list_prompts)
    real.add_request_handler("prompts/get", GetPromptRequestParams, get_prompt)


def main() -> None:
    """Serve the folder of the first argument; ``fixtures`` as the second mounts them."""
    warnings.simplefilter("ignore", MCPDeprecationWarning)
    context = Context(Workspace.open(Path(sys.argv[1])), Settings())

    def make_context(client: Client, progress: Progress) -> Context:
        return replace(context, client=client, progress=progress)

    def known(uri: str) -> bool:
        return uri.startswith("test://") or resources.find(uri) is not None

    subscriptions = Subscriptions(lambda: context, known)
    real = server.build(make_context, version="0", subscriptions=subscriptions)
    if "fixtures" in sys.argv[2:]:
        mount(real, subscriptions)
    listener = http.listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    http.serve(real, listener, http.access("127.0.0.1", None))


if __name__ == "__main__":
    main()
    leave(0)
