"""A model on loopback that follows a script: it calls the tools it was told to, then says so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from dialects import MODEL, Answer, Called, Conversation, Dialect, Offered, Said, dialect_of

Json = dict[str, Any]
DONE = "All steps are done."
# A model may look for a tool that it was not offered; so often, then it says that there is none.
MAX_DETOURS = 6


@dataclass(frozen=True)
class Step:
    """One call that the model makes, by the tool's own name."""

    tool: str
    arguments: Json


@dataclass(frozen=True)
class Turn:
    """One request that offered tools, and what it was answered."""

    conversation: Conversation
    answer: Answer
    body: Json


class Script:
    """What the model does: the steps in order, and the agent's own tools that find missing ones.

    The answer depends on the request alone: the results in it tell how many steps were made.
    """

    def __init__(self, steps: Sequence[Step], detours: Mapping[str, Json]) -> None:
        self.steps = steps
        self._detours = detours

    def answer(self, conversation: Conversation) -> Answer:
        """The next step's call, a detour on the way to it, or a sentence."""
        made = [each for each in conversation.returned if self.is_step(each.tool)]
        if not conversation.offered or len(made) >= len(self.steps):
            return Said(DONE)
        step = self.steps[len(made)]
        found = named(conversation.offered, step.tool)
        if found:
            return Called(found, step.arguments)
        detours = [tool for tool in conversation.offered if tool.name in self._detours]
        if detours and len(conversation.returned) - len(made) < MAX_DETOURS:
            return Called(detours[0], self._detours[detours[0].name])
        return Said(f"There is no tool {step.tool} among {len(conversation.offered)}.")

    def holds(self, _: Conversation) -> bool:
        """Whether the model falls silent in the middle of this answer."""
        return False

    def status(self, _: Conversation) -> int:
        """The answer's HTTP status."""
        return 200

    def is_step(self, tool: str) -> bool:
        """Whether an offered name means one of the steps' tools."""
        return any(is_named(tool, step.tool) for step in self.steps)


class Hanging(Script):
    """A model that makes the steps, then begins an answer which never ends."""

    def holds(self, conversation: Conversation) -> bool:
        """Once all steps are made."""
        made = [each for each in conversation.returned if self.is_step(each.tool)]
        return bool(conversation.offered) and len(made) >= len(self.steps)


class Broken(Script):
    """A model that refuses every request."""

    def status(self, _: Conversation) -> int:
        """Refused."""
        return 400


class BreakingDown(Script):
    """A model that makes the steps and then refuses; after the first time it makes fewer."""

    def __init__(self, steps: Sequence[Step], detours: Mapping[str, Json], later: int = 1) -> None:
        super().__init__(steps, detours)
        self._later = later

    def status(self, conversation: Conversation) -> int:
        """Refused once all steps are made."""
        made = [each for each in conversation.returned if self.is_step(each.tool)]
        if not conversation.offered or len(made) < len(self.steps):
            return 200
        self.steps = self.steps[: self._later]
        return 400


def is_named(offered: str, tool: str) -> bool:
    """Whether an agent's name for a tool, with its prefix of the server, means this tool."""
    return offered == tool or offered.endswith((f"_{tool}", f"-{tool}", f".{tool}", f":{tool}"))


def named(offered: Sequence[Offered], tool: str) -> Offered | None:
    """The tool of that name among those offered."""
    return next((each for each in offered if is_named(each.name, tool)), None)


class Model:
    """A running model: its address, and the turns so far."""

    def __init__(self, script: Script, log: Path) -> None:
        self.turns: list[Turn] = []
        self.script = script
        self.hanging = threading.Event()
        self.released = threading.Event()
        self._log = log
        self._lock = threading.Lock()
        self.address = ""

    def reply(self, path: str, dialect: Dialect, body: Json) -> Answer:
        """Answer one request, and remember it."""
        conversation = dialect.read(body)
        if (body.get("generationConfig") or {}).get("responseMimeType") == "application/json":
            answer: Answer = Said(json.dumps({"reasoning": "", "next_speaker": "user"}))
        else:
            answer = self.script.answer(conversation)
        with self._lock, self._log.open("a", encoding="utf-8") as log:
            said = answer.text if isinstance(answer, Said) else answer.tool.name
            log.write(json.dumps({"path": path, "answer": said, "body": body}) + "\n")
            if conversation.offered:
                self.turns.append(Turn(conversation, answer, body))
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    model: Model


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing; the model's log tells all."""

    def do_GET(self) -> None:
        """The list of models, for whatever is asked."""
        self._send({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1}]})

    def do_POST(self) -> None:
        """Answer as the script says."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        dialect = dialect_of(path)
        if dialect is None:
            self._send({"input_tokens": 10, "totalTokens": 10})
            return
        body: Json = json.loads(raw)
        model = cast("_Server", self.server).model
        conversation = dialect.read(body)
        status = model.script.status(conversation)
        if status != 200:
            self._send({"error": {"message": "refused", "code": "bad"}}, status)
            return
        answer = model.reply(path, dialect, body)
        if model.script.holds(conversation):
            self._hang(model)
        elif body.get("stream") or "stream" in path:
            self._stream(dialect, answer)
        else:
            self._send(dialect.whole(answer))

    def _stream(self, dialect: Dialect, answer: Answer) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in dialect.events(answer):
            head = f"event: {event['type']}\n" if dialect.named_events else ""
            self.wfile.write(f"{head}data: {json.dumps(event)}\n\n".encode())
        if dialect.end:
            self.wfile.write(f"data: {dialect.end}\n\n".encode())
        self.close_connection = True

    def _hang(self, model: Model) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.flush()
        model.hanging.set()
        model.released.wait()
        self.close_connection = True

    def _send(self, document: Json, status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(script: Script, log: Path) -> Iterator[Model]:
    """A model that serves on a free port of loopback until the block ends."""
    model = Model(script, log)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.model = model
    model.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield model
    finally:
        model.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
