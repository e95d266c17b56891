"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random
from datetime import timedelta

BASE_SECONDS = 5.0
MAX_SECONDS = 300.0


def retry_delay(failures: int) -> timedelta:
    """Doubling with each failure, up to a cap; the jitter keeps several callers apart."""
    ceiling = min(MAX_SECONDS, BASE_SECONDS * 2 ** max(0, failures - 1))
    return timedelta(seconds=round(ceiling * random.uniform(0.5, 1.0), 3))  # noqa: S311 - spreads retries, guards nothing
