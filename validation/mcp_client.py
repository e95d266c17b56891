"""A small MCP client of the standard library alone: stdio, streamable HTTP and SSE."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import queue
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

PROTOCOL = "2025-06-18"
PATIENCE_SECONDS = 30.0


class McpError(Exception):
    """The server did not answer, or answered with an error of the protocol."""


class Channel(Protocol):
    """How one message goes out, and how the answer to a request comes back."""

    def send(self, message: dict[str, Any]) -> None:
        """Send a message that has no answer."""

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer; raises McpError."""

    def close(self) -> None:
        """Leave."""


class Client:
    """The requests of MCP over any channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._numbers = itertools.count(1)

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request; raises McpError."""
        message = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method}
        answer = self.channel.ask({**message, "params": params})
        if "result" not in answer:
            raise McpError(f"{method}: {answer.get('error', {}).get('message', answer)}")
        result: dict[str, Any] = answer["result"]
        return result

    def initialize(self) -> dict[str, Any]:
        """Open the session; the server's own description."""
        client = {"name": "validation", "version": "1"}
        found = self.request(
            "initialize", protocolVersion=PROTOCOL, capabilities={}, clientInfo=client
        )
        self.channel.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return found

    def tools(self) -> list[dict[str, Any]]:
        """Every tool of the server."""
        listed: list[dict[str, Any]] = self.request("tools/list")["tools"]
        return listed

    def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a tool, ``isError`` included."""
        return self.request("tools/call", name=name, arguments=dict(arguments))


class _Inbox:
    """Messages read by a thread, so that waiting can end."""

    def __init__(self, messages: Iterator[dict[str, Any]]) -> None:
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, args=(messages,), daemon=True).start()

    def _read(self, messages: Iterator[dict[str, Any]]) -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            for message in messages:
                self._queue.put(message)
        self._queue.put(None)

    def answer(self, number: object) -> dict[str, Any]:
        """The answer to a request; messages before it are dropped."""
        while True:
            try:
                message = self._queue.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                raise McpError(f"No answer within {PATIENCE_SECONDS:g} s.") from None
            if message is None:
                raise McpError("The server closed the connection.")
            if message.get("id") == number:
                return message


class Stdio:
    """A server as a child process."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            argv,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )
        self._inbox = _Inbox(self._lines())

    def _lines(self) -> Iterator[dict[str, Any]]:
        assert self.process.stdout is not None  # noqa: S101 - it was asked for
        for line in self.process.stdout:
            yield json.loads(line)

    def send(self, message: dict[str, Any]) -> None:
        """Write one line."""
        assert self.process.stdin is not None  # noqa: S101 - it was asked for
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise McpError("The server has ended.") from error

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Write one line and wait for the answer."""
        try:
            self.send(message)
            return self._inbox.answer(message["id"])
        except McpError as error:
            self._complaints.seek(0)
            last = self._complaints.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            raise McpError(" ".join([str(error), *last])) from error

    def close(self) -> None:
        """Close its standard input; a server that stays is killed."""
        assert self.process.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._complaints.close()


def _post(
    url: str, message: dict[str, Any], headers: Mapping[str, str]
) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    sent = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        **headers,
    }
    connection.request("POST", path, json.dumps(message), sent)
    return connection.getresponse()


def events(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Server-sent events as pairs of name and data."""
    name = "message"
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        field, _, value = line.partition(":")
        if not line and data:
            yield name, "\n".join(data)
            name, data = "message", []
        elif field == "event":
            name = value.strip()
        elif field == "data":
            data.append(value.removeprefix(" "))


class StreamableHttp:
    """The transport of today: one POST a message, answered as JSON or as one event."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url, self._headers = url, dict(headers)

    def _sent(self, message: dict[str, Any]) -> http.client.HTTPResponse:
        try:
            response = _post(self._url, message, self._headers)
        except (OSError, http.client.HTTPException) as error:
            raise McpError(f"No HTTP answer: {error}.") from error
        if response.status >= 400:
            raise McpError(f"HTTP {response.status}.")
        if session := response.getheader("mcp-session-id"):
            self._headers["mcp-session-id"] = session
        return response

    def send(self, message: dict[str, Any]) -> None:
        """Post a notification."""
        self._sent(message).close()

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Post a request and read its answer."""
        with self._sent(message) as response:
            if "event-stream" not in (response.getheader("content-type") or ""):
                answer: dict[str, Any] = json.loads(response.read())
                return answer
            for _, data in events(response):
                found: dict[str, Any] = json.loads(data)
                if found.get("id") == message["id"]:
                    return found
        raise McpError("The stream ended without an answer.")

    def close(self) -> None:
        """There is nothing to leave."""


class Sse:
    """The transport of old clients: answers come on one stream, messages go to its endpoint."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._headers = dict(headers)
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
        self._connection.request(
            "GET", parts.path, headers={**headers, "Accept": "text/event-stream"}
        )
        self._socket = self._connection.sock  # the response takes it from the connection
        self._response = self._connection.getresponse()
        stream = events(self._response)
        name, where = next(stream, ("", ""))
        if name != "endpoint":
            raise McpError(f"HTTP {self._response.status}: no endpoint was named.")
        self._endpoint = f"{parts.scheme}://{parts.netloc}{where}" if where[:1] == "/" else where
        self._inbox = _Inbox(json.loads(data) for _, data in stream)

    def send(self, message: dict[str, Any]) -> None:
        """Post a message to the endpoint."""
        with _post(self._endpoint, message, self._headers) as response:
            if response.status >= 400:
                raise McpError(f"HTTP {response.status}.")

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Post a request; its answer comes on the stream."""
        self.send(message)
        return self._inbox.answer(message["id"])

    def close(self) -> None:
        """Drop the stream; the reading thread then sees its end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._connection.close()
