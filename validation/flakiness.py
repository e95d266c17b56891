"""Which tests cannot be relied on.

A test is flaky when two runs of unchanged code disagree on it - one says passed, another failed
or error - or when it failed and passed on a retry within one run. "Unchanged" means: the same
content of all files of the project (hidden folders, caches and what a run itself writes left
out), the same Python and the same arguments for the tests. The last 30 runs are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from validation.history import Record

WINDOW = 30


@dataclass(frozen=True, slots=True)
class Flaky:
    """A test with how often it passed and did not while the code was the same.

    ``retried`` counts the runs in which a retry made it pass; ``last`` is when it last went
    wrong, as ISO time.
    """

    id: str
    passed: int
    bad: int
    retried: int
    last: str


def find(records: Sequence[Record]) -> tuple[Flaky, ...]:
    """The flaky tests of some runs, the oldest run first; the least reliable test first."""
    recent = records[-WINDOW:]
    names = dict.fromkeys(name for record in recent for name in (*record.bad, *record.retried))
    found = [flaky for name in names if (flaky := _judge(name, recent))]
    return tuple(sorted(found, key=lambda f: (-(f.bad + f.retried), f.id)))


def _judge(name: str, records: Sequence[Record]) -> Flaky | None:
    passed = bad = retried = 0
    for code in dict.fromkeys(record.code for record in records):
        same = [record for record in records if record.code == code]
        good_runs = sum(record.has_passed(name) for record in same)
        bad_runs = sum(name in record.bad for record in same)
        retried += sum(name in record.retried for record in same)
        if good_runs and bad_runs:
            passed, bad = passed + good_runs, bad + bad_runs
    if not bad and not retried:
        return None
    last = max(r.started for r in records if name in r.bad or name in r.retried)
    return Flaky(name, passed, bad, retried, last)
