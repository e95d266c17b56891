"""The kinds of files that the sidecar looks after."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    """What a file is for; the word is also the name of its module in every layer."""

    MODES = "modes"
    SCHEDULES = "schedules"
    TODO = "todo"
    TIMING = "timing"
    MEMORY = "memory"


class Other(StrEnum):
    """Files that are checked beside the loop's own, and are no agent's."""

    SETTINGS = "settings"


Checked: TypeAlias = Kind | Other
