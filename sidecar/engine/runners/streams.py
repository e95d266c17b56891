"""Reading what an agent prints and feeding it its prompt, in one loop that never blocks."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sidecar.engine.runners.bounds import Bounds, Reached, Watch
from sidecar.engine.runners.child import TAIL_BYTES, Child

TICK_SECONDS = 0.1
# A grandchild that holds the pipe must not keep us waiting for its end.
DRAIN_SECONDS = 1.0
_CHUNK = 65_536


@dataclass
class Lines:
    """Bytes put together to lines; what is longer than the limit is cut, not kept."""

    limit: int
    _part: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete with this data."""
        *whole, rest = data.split(b"\n")
        done = []
        for piece in whole:
            self._grow(piece)
            done.append(self.flush())
        self._grow(rest)
        return done

    def flush(self) -> str:
        """What has come of a line so far."""
        text = self._part.decode("utf-8", "replace").rstrip("\r")
        self._part.clear()
        return text

    def _grow(self, piece: bytes) -> None:
        self._part += piece[: max(0, self.limit - len(self._part))]


class Exchange:
    """The talk with one agent until it ends or has to."""

    def __init__(self, child: Child, prompt: bytes, watch: Watch, bounds: Bounds) -> None:
        self.errors = bytearray()
        self._child = child
        self._watch = watch
        self._bounds = bounds
        self._unsent = memoryview(prompt)
        self._lines = Lines(bounds.line_bytes)
        self._bytes = 0
        self._exited: float | None = None

    def follow(self, take: Callable[[str], None], is_over: Callable[[], bool]) -> Reached | None:
        """Give each line to ``take`` until the agent ends; returns the bound it reached first.

        Once ``is_over`` says that the last word was spoken, the agent has a while to exit.
        """
        over: float | None = None
        with selectors.DefaultSelector() as selector:
            self._register(selector)
            while not self._is_done(selector):
                for key, _ in selector.select(TICK_SECONDS):
                    self._serve(selector, key, take)
                if is_over():
                    over = over or time.monotonic()
                    if time.monotonic() - over > self._bounds.linger:
                        return None
                elif reached := self._reached():
                    return reached
        if last := self._lines.flush():
            take(last)
        return None

    def _register(self, selector: selectors.BaseSelector) -> None:
        process = self._child.process
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                is_input = pipe is process.stdin
                mask = selectors.EVENT_WRITE if is_input else selectors.EVENT_READ
                selector.register(pipe, mask, self._send if is_input else None)

    def _reached(self) -> Reached | None:
        if self._bytes > self._bounds.output_bytes:
            limit = self._bounds.output_bytes // 1_000_000
            return Reached("failed", f"The agent printed more than {limit} MB.")
        return self._watch.reached()

    def _is_done(self, selector: selectors.BaseSelector) -> bool:
        if not selector.get_map():
            time.sleep(0 if self._child.has_exited else TICK_SECONDS)
            return self._child.has_exited
        if self._child.has_exited:
            self._exited = self._exited or time.monotonic()
            return time.monotonic() - self._exited > DRAIN_SECONDS
        return False

    def _serve(
        self,
        selector: selectors.BaseSelector,
        key: selectors.SelectorKey,
        take: Callable[[str], None],
    ) -> None:
        if key.data is not None:
            self._send(selector)
            return
        try:
            data = os.read(key.fd, _CHUNK)
        except OSError:
            data = b""
        if not data:
            selector.unregister(key.fileobj)
            return
        self._watch.heard()
        self._bytes += len(data)
        if key.fileobj is self._child.process.stderr:
            self.errors += data
            del self.errors[:-TAIL_BYTES]
            return
        for line in self._lines.feed(data):
            take(line)

    def _send(self, selector: selectors.BaseSelector) -> None:
        pipe = self._child.process.stdin
        if pipe is None:
            return
        try:
            self._unsent = self._unsent[os.write(pipe.fileno(), self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = self._unsent[:0]  # it does not want to read any more
        if not self._unsent:
            selector.unregister(pipe)
            pipe.close()
