"""A run as it goes on, line by line, from what its runner writes down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.domain.run import ENDED, RunRecord, RunState, run_name
from sidecar.services.context import Context
from sidecar.services.run_requests import queue_of

LOOK_SECONDS = 0.3
# Where nothing goes on before somebody outside acts.
RESTING = ENDED | {RunState.NEEDS_CONSENT, RunState.READY}

Show = Callable[[str], None]


@dataclass
class Follower:
    """Shows what is new of one run each time it is asked."""

    context: Context
    run_id: str
    show: Show
    _state: RunState | None = None
    _shown: dict[int, int] = field(default_factory=dict)

    def look(self) -> RunRecord | None:
        """Show the new lines; the run as it stands, None for an unknown id."""
        record = queue_of(self.context).get(self.run_id)
        if record is None:
            return None
        for number in range(1, record.attempts + 1):
            self._tell(number)
        if record.state is not self._state:
            self._state = record.state
            self.show(f"{record.state}{f': {record.reason}' if record.reason else ''}")
        return record

    def until_it_rests(self) -> RunRecord | None:
        """Show everything until the run has ended, or waits for somebody."""
        while True:
            record = self.look()
            if record is None or record.state in RESTING:
                return record
            time.sleep(LOOK_SECONDS)

    def _tell(self, number: int) -> None:
        name = f"runs/{run_name(self.run_id)}/attempt-{number}/transcript.ndjson"
        state = self.context.workspace.state
        known = self._shown.get(number, 0)
        try:
            if state.size(name) <= known:
                return
            data = state.read(name)
        except SidecarError:
            return
        whole = data.rfind(b"\n") + 1
        for line in data[known:whole].splitlines():
            self.show(_line(number, line))
        self._shown[number] = whole


def _line(number: int, line: bytes) -> str:
    try:
        event: Any = json.loads(line)
        return f"{number} {str(event['at'])[11:19]} {event['kind']}: {event['text']}"
    except (ValueError, KeyError, TypeError):
        return f"{number} {line.decode('utf-8', 'replace')}"
