"""Group commit: of all the threads that wait for one file, the first does the work of all.

A flush to the disk costs the same for one row as for a hundred, so whoever's turn it is takes along
what has queued up behind it. Turns come in the order in which the threads came.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from sidecar.domain.errors import ErrorCode, SidecarError

WAIT_SECONDS = 15.0
# Bounds how long the first of a batch works for the others.
MOST_TOGETHER = 64


class Wish(Protocol):
    """What one thread wants done to a file."""

    @property
    def family(self) -> object:
        """Neighbours of one family are done together."""


W = TypeVar("W", bound=Wish)
R = TypeVar("R")
Work: TypeAlias = Callable[[Sequence[W]], Sequence[R | BaseException]]


@dataclass(eq=False)
class _Waiter(Generic[W, R]):
    wish: W
    turn: threading.Event = field(default_factory=threading.Event)
    result: R | BaseException | None = None


class Queue(Generic[W, R]):
    """The wishes for one file, served in order and as many together as belong together."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Waiter[W, R]] = deque()
        self._leader: int | None = None

    def done(self, wish: W, work: Work[W, R], timeout: float = WAIT_SECONDS) -> R:
        """The result of one wish; raises what the work gave for it, E_BUSY after ``timeout`` s."""
        mine: _Waiter[W, R] = _Waiter(wish)
        if not self._leads(mine) and not self._served(mine, timeout):
            raise SidecarError(
                ErrorCode.BUSY, "Too many changes of this file wait.", hint="Try again in a moment."
            )
        if mine.result is None:
            self._serve(work)
        assert mine.result is not None  # noqa: S101 - a leader's own wish is always in its batch
        if isinstance(mine.result, BaseException):
            raise mine.result
        return mine.result

    def _leads(self, mine: _Waiter[W, R]) -> bool:
        with self._guard:
            if self._leader == threading.get_ident():
                message = "this thread is changing the file already"
                raise RuntimeError(message)
            self._waiting.append(mine)
            if self._leader is not None:
                return False
            self._leader = threading.get_ident()
            return True

    def _served(self, mine: _Waiter[W, R], timeout: float) -> bool:
        """Wait until another thread has done the work, or it is this one's turn to lead."""
        if not mine.turn.wait(timeout):
            with self._guard:
                given_up = mine in self._waiting and not mine.turn.is_set()
                if given_up:
                    self._waiting.remove(mine)
                    return False
            mine.turn.wait()  # somebody works on it at this moment
        return True

    def _serve(self, work: Work[W, R]) -> None:
        with self._guard:
            self._leader = threading.get_ident()
            batch = [self._waiting.popleft()]
            while (
                self._waiting
                and len(batch) < MOST_TOGETHER
                and self._waiting[0].wish.family == batch[0].wish.family
            ):
                batch.append(self._waiting.popleft())
        try:
            results = work([waiter.wish for waiter in batch])
        except BaseException as error:  # a signal, too, must not leave the others waiting
            results = [error] * len(batch)
            raise
        finally:
            for waiter, result in zip(batch, results, strict=True):
                waiter.result = result
            self._hand_over()
            for waiter in batch:
                waiter.turn.set()

    def _hand_over(self) -> None:
        with self._guard:
            # Not None between leaders: a newcomer must not overtake the one just woken.
            self._leader = 0 if self._waiting else None
            if self._waiting:
                self._waiting[0].turn.set()
