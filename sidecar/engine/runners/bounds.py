"""How long an attempt may go on, and whether it still may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.engine.runner import Event, RunSpec, Status

WARN_AT = 0.8


@dataclass(frozen=True)
class Bounds:
    """Seconds and bytes that no schedule decides.

    ``ladder`` is what each of interrupt, terminate and kill is given to work; ``linger`` what an
    agent is given to exit after it has said its last word, ``cancel`` to answer a cancellation,
    ``answer`` to answer a request of the protocol.
    """

    ladder: tuple[float, float, float] = (5.0, 5.0, 10.0)
    linger: float = 20.0
    cancel: float = 10.0
    answer: float = 120.0
    output_bytes: int = 500_000_000
    line_bytes: int = 8_000_000


@dataclass(frozen=True)
class Reached:
    """Why an attempt must end."""

    status: Status
    reason: str


class Watch:
    """One attempt's clock: its limit, its silence, and whether it was told to stop."""

    def __init__(
        self,
        spec: RunSpec,
        stop: threading.Event,
        tell: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._stop = stop
        self._tell = tell
        self._clock = clock
        self._begun = self._heard = clock()
        self._warned = False

    @property
    def seconds(self) -> float:
        """How long the attempt has gone on."""
        return self._clock() - self._begun

    def heard(self) -> None:
        """Note that the agent is alive."""
        self._heard = self._clock()

    def reached(self) -> Reached | None:
        """The bound that has been reached, None while the attempt may go on."""
        limit, idle = self._spec.limit_seconds, self._spec.idle_seconds
        if self._stop.is_set():
            return Reached("cancelled", "It was told to stop.")
        if self.seconds >= limit:
            return Reached("timed-out", f"Its limit of {limit:g} s was reached.")
        if idle is not None and self._clock() - self._heard >= idle:
            return Reached("timed-out", f"The agent said nothing for {idle:g} s.")
        if not self._warned and self.seconds >= WARN_AT * limit:
            self._warned = True
            self._tell(Event("warning", f"{WARN_AT:.0%} of its {limit:g} s have gone by."))
        return None
