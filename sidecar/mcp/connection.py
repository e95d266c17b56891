"""HTTP/1.1 connections with an end to patience: uvicorn itself waits for ever for a request.

A client that opens connections and sends nothing, or a byte a minute, would hold a descriptor
each; a few hundred of them would shut every honest client out.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# An honest client sends even the largest message within this; it is on this machine or near.
REQUEST_SECONDS = 30.0
# A hundred clients with a stream and a few calls each; further ones are told 503.
MOST_CONNECTIONS = 512


class Connection(H11Protocol):
    """A connection that gives a request ``patience`` seconds to arrive whole, then is closed."""

    patience = REQUEST_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._hurry()

    def data_received(self, data: bytes) -> None:
        """Take what came; a request that is now complete is not hurried any more."""
        super().data_received(data)
        if self.conn.their_state in {h11.IDLE, h11.SEND_BODY} and self._is_partial():
            self._hurry()
        else:
            self._relax()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline with the connection."""
        super().connection_lost(exc)
        self._relax()

    def _is_partial(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY or bool(self.conn.trailing_data[0])

    def _hurry(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self.transport.close)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
