"""Libraries that are imported when the first client needs them."""

from __future__ import annotations

import gc
import importlib
from types import ModuleType

# New objects between two collections; a check of a long file makes about as many.
_COLLECT_AFTER = 10_000


def imported(name: str) -> ModuleType:
    """A module; what it brought along is not looked through for garbage ever after."""
    module = importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
    return module
