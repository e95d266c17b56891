"""The kinds of files that the sidecar looks after."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a file is for; the word is also the name of its module in every layer."""

    MODES = "modes"
    SCHEDULES = "schedules"
    TODO = "todo"
    TIMING = "timing"
    MEMORY = "memory"
