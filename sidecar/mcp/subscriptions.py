"""Who is told of changed resources, in both eras of the protocol.

Before 2026 a client subscribes to one address at a time for as long as its connection lasts; since
then one `subscriptions/listen` request names all of them and is answered by a stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mcp.server import ServerRequestContext
from mcp.server.connection import Connection
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourceUpdated,
    ServerEvent,
)
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from sidecar.mcp import resources
from sidecar.mcp.changes import Changes
from sidecar.services.context import Context

MAX_SUBSCRIPTIONS = 200

Request = ServerRequestContext[Any, Any]


def _is_ours(uri: str) -> bool:
    return resources.find(uri) is not None


class Subscriptions:
    """The handlers of subscriptions, and the ``bus`` on which changes are published.

    ``known`` decides which addresses may be subscribed to.
    """

    def __init__(
        self, make_context: Callable[[], Context], known: Callable[[str], bool] = _is_ours
    ) -> None:
        self._known = known
        self.bus = InMemorySubscriptionBus()
        self.changes = Changes(make_context, self._publish)
        self._streams = ListenHandler(self.bus)
        self._subscribers: dict[Connection, _Subscriber] = {}

    async def _publish(self, uri: str) -> None:
        await self.bus.publish(ResourceUpdated(uri))

    async def subscribe(self, request: Request, params: SubscribeRequestParams) -> EmptyResult:
        """Tell this connection whenever the resource has changed."""
        if not self._known(params.uri):
            raise resources.missing(params.uri, request.protocol_version)
        connection = _connection(request)
        subscriber = self._subscribers.get(connection)
        if subscriber is None:
            subscriber = self._subscribers[connection] = _Subscriber(connection)
            connection.exit_stack.callback(self._forget, connection)
            connection.exit_stack.callback(self.bus.subscribe(subscriber.deliver))
        if len(subscriber.uris) >= MAX_SUBSCRIPTIONS and params.uri not in subscriber.uris:
            raise MCPError(INVALID_PARAMS, f"A connection may have {MAX_SUBSCRIPTIONS} of them.")
        if params.uri not in subscriber.uris:
            subscriber.uris.add(params.uri)
            self.changes.hold([params.uri])
        await self.changes.ready()
        return EmptyResult()

    async def unsubscribe(self, request: Request, params: UnsubscribeRequestParams) -> EmptyResult:
        """Tell this connection no longer; an address it never asked for is no error."""
        subscriber = self._subscribers.get(_connection(request))
        if subscriber is not None and params.uri in subscriber.uris:
            subscriber.uris.remove(params.uri)
            self.changes.release([params.uri])
        return EmptyResult()

    async def listen(
        self, request: Request, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Stream the changes that were asked for until the client closes the stream."""
        wanted = list(dict.fromkeys(params.notifications.resource_subscriptions or ()))
        if len(wanted) > MAX_SUBSCRIPTIONS:
            raise MCPError(INVALID_PARAMS, f"A stream may name {MAX_SUBSCRIPTIONS} resources.")
        known = [uri for uri in wanted if self._known(uri)]
        honoured = params.notifications.model_copy(update={"resource_subscriptions": known})
        self.changes.hold(known)
        try:
            if known:
                await self.changes.ready()
            return await self._streams(
                request, params.model_copy(update={"notifications": honoured})
            )
        finally:
            self.changes.release(known)

    def _forget(self, connection: Connection) -> None:
        subscriber = self._subscribers.pop(connection, None)
        if subscriber is not None:
            self.changes.release(subscriber.uris)


def _connection(request: Request) -> Connection:
    """The connection that a request came by: the SDK's request has no public name for it."""
    return request.session._connection  # noqa: SLF001 - what lasts as long as a subscription


class _Subscriber:
    """A connection from before 2026: what it wants, and what it has yet to be told.

    What changes again before it was told is told once: a client that reads slowly costs memory for
    each address, not for each change, and keeps nobody waiting.
    """

    def __init__(self, connection: Connection) -> None:
        self.uris: set[str] = set()
        self._connection = connection
        self._untold: dict[str, None] = {}
        self._telling: asyncio.Task[None] | None = None

    def deliver(self, event: ServerEvent) -> None:
        """Tell of the event, if it was asked for."""
        if isinstance(event, ResourceUpdated) and event.uri in self.uris:
            self._untold[event.uri] = None
            if self._telling is None or self._telling.done():
                self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._untold:
            uri = next(iter(self._untold))
            del self._untold[uri]
            await self._connection.send_resource_updated(uri)
