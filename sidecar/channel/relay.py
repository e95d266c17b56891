"""One client and the workspace's sidecar: what one says reaches the other, whatever ends between.

When the sidecar dies, the next one is given the session as it was (each dialect knows what that
is), and the client learns of it by the answers to what was under way.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from sidecar.channel.frames import CONTROL, DRAINED, END, MESSAGE, TOO_LONG, frame
from sidecar.channel.message import Json, Unavailable, parsed

if TYPE_CHECKING:
    from sidecar.channel.seat import Link

# Cline sends SIGTERM 250 ms after it has closed our input.
GRACE_SECONDS = 0.15
_QUICK_DEATH_SECONDS = 20.0
_LONGEST_PAUSE_SECONDS = 10.0

Body = bytes | None
Connect = Callable[[bool, str], "Link"]


class Dialect(Protocol):
    """What a relay must know of its client's protocol."""

    def asks_plainly(self, body: Body) -> bool:
        """Note a message of the client that is but to be passed on; any other is left to `took`."""

    def took(self, body: Body, *, connected: bool) -> tuple[list[bytes], bool]:
        """Note a message of the client: what to answer at once, and whether to pass it on."""

    def answers_plainly(self, body: bytes) -> bool:
        """Note an answer that is but to be passed on; all else is left to `told`."""

    def told(self, body: bytes) -> tuple[list[bytes], list[bytes]]:
        """Note a message of the sidecar: what the client is told, and the sidecar answered."""

    def lost(self, reason: str, unsent: Sequence[Body] = ()) -> list[bytes]:
        """What the client is told when the sidecar is gone that has all but the ``unsent``."""

    def refused(self, reason: str) -> list[bytes]:
        """What the client is told when no sidecar can be had."""

    def replay(self) -> list[bytes]:
        """The session so far, for a sidecar that knows nothing of it."""

    def resumed(self) -> list[bytes]:
        """What the client is told when another sidecar knows the session."""

    def controlled(self, control: Json) -> list[bytes]:
        """What the client is told after a word of the sidecar to the channel."""

    @property
    def unanswered(self) -> bool:
        """Whether the client waits for an answer."""


class Relay:
    """The client on one side, one sidecar after the other on the other side.

    ``connect`` gives a link and is told whether it is for a session that has begun already, and
    how the last sidecar ended.
    """

    def __init__(
        self, dialect: Dialect, connect: Connect, tell: Callable[[bytes], None], name: str
    ) -> None:
        self._dialect = dialect
        self._connect = connect
        self._tell = tell
        self._name = name
        self._turn = threading.Lock()
        self._asked = threading.Condition(self._turn)
        self._link: Link | None = None
        self._waiting: list[Body] = []
        self._beginning = False
        self._began = False
        # Nobody connects before the client asks for something.
        self._resting = False

    def begin(self) -> None:
        """Find or start a sidecar, beside; once is enough."""
        if self._beginning:
            return
        self._beginning = True
        threading.Thread(target=self._stay_connected, name="relay", daemon=True).start()

    def take(self, bodies: Sequence[Body]) -> None:
        """Answer messages of the client or pass them on."""
        with self._turn:
            passed = [body for body in bodies if self._is_passed(body)]
            if passed:
                self._pass(passed)
            if self._resting:
                self._asked.notify_all()

    def _is_passed(self, body: Body) -> bool:
        if self._dialect.asks_plainly(body):
            return True
        answers, passed = self._dialect.took(body, connected=self._link is not None)
        for answer in answers:
            self._tell(answer)
        return passed

    def _pass(self, bodies: list[Body]) -> None:
        """Send messages; those that cannot be sent any more wait for another sidecar.

        What the dead one has answered may still be unread, so nothing else is given up here.
        """
        if self._link is not None:
            sent = self._link.send_all([_framed(body) for body in bodies])
            bodies = bodies[sent:]
            if bodies:
                self._link = None
        self._waiting += bodies

    def end(self) -> None:
        """The client has gone: give what is nearly answered a moment."""
        with self._turn:
            if self._link is not None:
                self._link.send(frame(END))
        until = time.monotonic() + GRACE_SECONDS
        while self._dialect.unanswered and time.monotonic() < until:
            time.sleep(0.002)

    def _stay_connected(self) -> None:
        deaths, reason = 0, ""
        while True:
            began = time.monotonic()
            reason = self._serve_once(reason)
            quick = time.monotonic() - began < _QUICK_DEATH_SECONDS
            deaths = deaths + 1 if quick and reason == "died" else 0
            if deaths > 1:
                time.sleep(min(0.1 * 2**deaths, _LONGEST_PAUSE_SECONDS))
            if reason in {"stopped", "refused"}:
                self._wait_for_client()

    def _serve_once(self, last: str) -> str:
        """Relay for one sidecar until its end; returns how it ended, as the ``last`` one did."""
        try:
            link = self._connect(self._began, last)
        except (Unavailable, OSError) as error:
            self._refuse(f"The sidecar cannot be reached: {_sentence(error)}")
            return "refused"
        with self._turn:
            self._pass_on(link)
        reason = "died"
        for kind, body in link.frames():
            if kind == MESSAGE:
                if self._dialect.answers_plainly(body):
                    self._tell(body)
                else:
                    self._relay(link, body)
            elif kind == CONTROL:
                reason = self._obey(link, body) or reason
        link.close()
        with self._turn:
            self._link = None
            for each in self._dialect.lost(_WORDS[reason], unsent=self._waiting):
                self._tell(each)
        return reason

    def _pass_on(self, link: Link) -> None:
        """Give a sidecar the session, and what the client has said since nobody listened."""
        for body in self._dialect.replay():
            link.send(frame(MESSAGE, body))
        for waiting in self._waiting:
            link.send(_framed(waiting))
        self._waiting.clear()
        self._link = link
        if self._began:
            for body in self._dialect.resumed():
                self._tell(body)
        self._began = True

    def _relay(self, link: Link, body: bytes) -> None:
        told, back = self._dialect.told(body)
        for each in told:
            self._tell(each)
        for each in back:
            link.send(frame(MESSAGE, each))

    def _obey(self, link: Link, body: bytes) -> str | None:
        control = parsed(body)
        if "exit" in control:
            os._exit(int(control["exit"]))
        with self._turn:
            if "drain" in control:
                self._link = None
                link.send(frame(DRAINED))
            for each in self._dialect.controlled(control):
                self._tell(each)
        return str(control["ends"]) if "ends" in control else None

    def _refuse(self, reason: str) -> None:
        sys.stderr.write(f"sidecar {self._name}: {reason}\n")
        with self._turn:
            self._waiting.clear()
            for each in self._dialect.refused(reason):
                self._tell(each)

    def _wait_for_client(self) -> None:
        with self._turn:
            self._resting = True
            while not self._waiting:
                self._asked.wait()
            self._resting = False


_WORDS = {
    "died": "The sidecar ended while this was under way; another one takes its place."
    " Read the state before you ask for a change again.",
    "stopped": "The sidecar was stopped while this was under way; the next request starts it again."
    " Read the state before you ask for a change again.",
    "moved": "The sidecar gave way to another while this was under way."
    " Read the state before you ask for a change again.",
    "gone": "The workspace's folder has gone.",
}


def _framed(body: Body) -> bytes:
    return frame(TOO_LONG) if body is None else frame(MESSAGE, body)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return str(error)


def written(descriptor: int, lock: threading.Lock, code: int) -> Callable[[bytes], None]:
    """Write whole messages to the client; one that no longer reads ends the process."""

    def write(data: bytes) -> None:
        with lock:
            try:
                sent = os.write(descriptor, data)
                while sent < len(data):
                    sent += os.write(descriptor, memoryview(data)[sent:])
            except OSError:
                os._exit(code)

    return write
