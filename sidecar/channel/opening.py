"""A client's first questions, answered while the server is still being imported.

The SDK takes more than a second of processor time to import, and clients give up early: Cline
after 3 s, Codex begins its first turn without the tools. What they ask first has the same answer
in every workspace, so it is generated once (``mcp/manifest.py``) and told from a file.
Standard library alone: whatever is imported here, every client waits for.
"""

from __future__ import annotations

import json
import os
import select
import sys
import threading
from binascii import crc32
from typing import Any, NamedTuple

from sidecar.channel.message import Id, Json
from sidecar.channel.place import runtime_folder

MANIFEST = f"{__file__.rpartition('opening')[0]}manifest.json"
_CHUNK = 65_536
# No client asks so much before it has an answer; the rest waits in the pipe for the server.
_MOST_BYTES = 1_000_000
_VERSION = "io.modelcontextprotocol/protocolVersion"
_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
_LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
LISTEN = "subscriptions/listen"
_CHANGES = frozenset({"toolsListChanged", "promptsListChanged", "resourcesListChanged"})
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


def manifest(renewed: str | None = None) -> Json:
    """The answers as they were generated, or as a sidecar of this package has ``renewed`` them.

    Raises OSError where the package's own cannot be read.
    """
    with open(MANIFEST, "rb") as file:  # noqa: PTH123 - pathlib would cost every client its import
        data = file.read()
    kept = _read(renewed) if renewed else None
    if kept is not None and kept.get("instead_of") == fingerprint(data):
        return dict(kept["manifest"])
    return dict(json.loads(data))


def fingerprint(data: bytes) -> str:
    """What tells one manifest from another."""
    return f"{len(data)}-{crc32(data):08x}"


def digest(told: Json) -> str:
    """The fingerprint of a manifest's values, however they are written."""
    return fingerprint(json.dumps(told, sort_keys=True).encode())


def renewed_path() -> str:
    """The user's copy of what a sidecar has told last."""
    return f"{runtime_folder()}/manifest.json"


def renew(path: str, told: Json) -> None:
    """Keep the manifest of a sidecar for the next channels; without room it is told anew later."""
    with open(MANIFEST, "rb") as file:  # noqa: PTH123
        kept = {"instead_of": fingerprint(file.read()), "manifest": told}
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(kept, file)
        os.replace(temporary, path)  # noqa: PTH105
    except OSError:
        return


def _read(path: str) -> Json | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            kept = json.load(file)
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) else None


class Wire(NamedTuple):
    """The descriptors of a client, what was read of them already, and which ids were answered.

    A subscription is ``acknowledged``; its answer comes when it ends.
    """

    source: int
    sink: int
    read: bytes = b""
    answered: frozenset[Id] = frozenset()
    acknowledged: frozenset[Id] = frozenset()


def claim() -> Wire:
    """Take the wire away from the standard descriptors, so that no print or child reaches it."""
    source, sink = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    return Wire(source, sink)


class Answers:
    """What the manifest says to the messages of one client, one after the other."""

    def __init__(self, manifest: Json) -> None:
        self.manifest = manifest
        self._initialized = False
        self._ready = False

    def to(self, message: Any) -> Json | None:
        """The answer to a message; None leaves it to the server."""
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return None
        method, number = message.get("method"), message.get("id")
        if method == "notifications/initialized" and self._initialized:
            self._ready = True
        if not isinstance(number, str | int) or isinstance(number, bool):
            return None
        params = message.get("params", {})
        if not isinstance(method, str) or not isinstance(params, dict):
            return None
        if method == LISTEN:
            return self._acknowledgement(number, params)
        result = self._result(method, params)
        return None if result is None else {"jsonrpc": "2.0", "id": number, "result": result}

    def _result(self, method: str, params: Json) -> Json | None:
        if method == "initialize":
            return self._initialize(params)
        meta = params.get("_meta", {})
        if set(params) - {"_meta"} or not isinstance(meta, dict):
            return None
        if any(key.startswith("io.modelcontextprotocol/") for key in meta):
            return self._modern(method, meta)
        if not self._ready:
            return None
        return {} if method == "ping" else self._list(method)

    def _modern(self, method: str, meta: Json) -> Json | None:
        """The answer in the era without ``initialize``, where each request says its version."""
        modern = self.manifest["modern"]
        if not self._is_modern(meta):
            return None
        told = modern["discover"] if method == "server/discover" else self._list(method)
        return None if told is None else {**modern["every"], **told}

    def _is_modern(self, meta: Any) -> bool:
        return (
            isinstance(meta, dict)
            and meta.get(_VERSION) == self.manifest["modern"]["version"]
            and isinstance(meta.get(_CAPABILITIES), dict)
        )

    def _acknowledgement(self, number: Id, params: Json) -> Json | None:
        """That the lists are watched; a subscription to a resource is the server's to judge."""
        wanted = params.get("notifications")
        if not self._is_modern(params.get("_meta")) or not isinstance(wanted, dict):
            return None
        if (
            not wanted
            or set(wanted) - _CHANGES
            or not all(each is True for each in wanted.values())
        ):
            return None
        told = {"_meta": {SUBSCRIPTION: number}, "notifications": wanted}
        return {"jsonrpc": "2.0", "method": ACKNOWLEDGED, "params": told}

    def _initialize(self, params: Json) -> Json | None:
        version, client = params.get("protocolVersion"), params.get("clientInfo")
        usual = (
            not self._initialized
            and version in self.manifest["versions"]
            and isinstance(params.get("capabilities"), dict)
            and isinstance(client, dict)
            and all(isinstance(client.get(key), str) for key in ("name", "version"))
        )
        if not usual:
            return None
        self._initialized = True
        return {**self.manifest["initialize"], "protocolVersion": version}

    def _list(self, method: str) -> Json | None:
        name = _LISTS.get(method)
        return None if name is None else {name: self.manifest[name]}


class Opening:
    """Reads a client's first messages beside the imports, and answers those it can."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._read = bytearray()
        self._answered: set[Id] = set()
        self._acknowledged: set[Id] = set()
        self._owing = False
        self._awake, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="mcp-opening", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def hand_over(self) -> Wire:
        """Stop; returns the wire with everything that was read, for the server to read first."""
        os.write(self._wake, b".")
        self._thread.join()
        os.close(self._awake)
        os.close(self._wake)
        return self._wire._replace(
            read=bytes(self._read),
            answered=frozenset(self._answered),
            acknowledged=frozenset(self._acknowledged),
        )

    def _serve(self) -> None:
        answers = Answers(manifest())
        seen = 0
        while len(self._read) < _MOST_BYTES:
            ready, _, _ = select.select([self._wire.source, self._awake], [], [])
            if self._awake in ready:
                return
            chunk = os.read(self._wire.source, _CHUNK)
            self._read += chunk
            *lines, rest = bytes(self._read[seen:]).split(b"\n")
            seen = len(self._read) - len(rest)
            if not all(self._took(line, answers) for line in lines):
                return
            if not chunk:
                if self._answered and not self._owing and not rest:
                    os._exit(0)  # the client has left; nothing was begun for it
                return

    def _took(self, line: bytes, answers: Answers) -> bool:
        """Answer a line if that can be; false where only the server can tell what is going on."""
        if not line.strip():
            return True
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return False
        answer = answers.to(message)
        if answer is None:
            self._owing |= isinstance(message, dict) and "id" in message
            return True
        if message["id"] in self._answered | self._acknowledged:
            return False
        (self._answered if "id" in answer else self._acknowledged).add(message["id"])
        rest = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            while rest:
                rest = rest[os.write(self._wire.sink, rest) :]
        except OSError:
            return False
        return True


def begin() -> Opening | None:
    """Claim the wire and begin to answer; None where the system cannot wait for two pipes."""
    opening = None
    if sys.platform != "win32":
        opening = Opening(claim())
        opening.start()
    return opening
