"""The schedules file: both spellings, the product's verdict, edits that keep every other byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import schedules
from sidecar.domain.edit import Edit, apply_edits
from sidecar.domain.schedules import FIELDS, snake
from sidecar.domain.schedules_edit import (
    UneditableError,
    add_schedule,
    remove_fields,
    remove_schedule,
    set_fields,
)

TEXT = """{
  "version": 1,
  "schedules": [
    {
      "id": "1", "name": "Nightly",
      "mode": "code",
      "timeInterval": "10", "inactivityDelay": 3,
      "selectedDays": { "mon": true,  "tue": false },
      "note": "kept \\u00e9"
    },
    {"id": 2, "time_interval": 5, "time_unit": "hour"}
  ]
}
"""


def edited(text: str, edits: tuple[Edit, ...]) -> str:
    return apply_edits(text, edits)


def test_both_spellings_give_the_same_fields():
    first, second = schedules.parse(TEXT).schedules

    assert (first.id, first.values["timeInterval"], first.snake_case) == ("1", "10", False)
    assert (second.id, second.values["timeInterval"], second.snake_case) == ("2", 5, True)
    assert TEXT[slice(*second.fields["timeUnit"].span)] == '"hour"'
    assert second.raw["time_interval"] == 5


@pytest.mark.parametrize(
    ("text", "verdict", "loaded"),
    [
        ('{"schedules":[{}]}', "loads", 1),
        ('{"schedules":[]}', "loads", 0),
        ('{"schedules":[{},]}', "rejected", 0),
        ('\ufeff{"schedules":[{}]}', "rejected", 0),
        ("null", "rejected", 0),
        ("", "rejected", 0),
        ("[{}]", "silently-empty", 0),
        ("{}", "silently-empty", 0),
        ('{"Schedules":[{}]}', "silently-empty", 0),
        ('{"schedules":{}}', "activation-fails", 0),
        ('{"schedules":7}', "activation-fails", 0),
        ('{"schedules":[{},null]}', "activation-fails", 1),
        ('{"schedules":[{}],"schedules":[]}', "loads", 0),
    ],
)
def test_the_product_s_verdict_follows_from_the_shape(text: str, verdict: str, loaded: int):
    outcome = schedules.parse(text).product

    assert (outcome.verdict, outcome.loaded) == (verdict, loaded)


def test_a_poisoned_date_makes_the_activation_fail_at_that_schedule():
    good = {"scheduleType": "time", "timeInterval": "1", "timeUnit": "day"}
    file = schedules.parse(json.dumps({"schedules": [good, good | {"timeUnit": "week"}, good]}))

    outcome = schedules.outcome(file, datetime(2025, 5, 1, 10, 5, tzinfo=UTC), ZoneInfo("UTC"))

    assert (outcome.verdict, outcome.loaded, outcome.total) == ("activation-fails", 1, 3)


def test_an_entry_that_is_no_object_is_named():
    problems = schedules.parse('{"schedules":[1, {}, null]}').problems

    assert [(each.index, each.message) for each in problems] == [
        (0, "Entry 1 is a number, not a schedule."),
        (2, "Entry 3 is null, not a schedule."),
    ]


def test_text_stays_text_and_a_number_a_number():
    file = schedules.parse(TEXT)

    after = edited(
        TEXT, set_fields(file, file.schedules[0], {"timeInterval": 15, "inactivityDelay": "4"})
    )

    assert after == TEXT.replace('"10"', '"15"').replace(": 3", ": 4")


def test_one_day_is_changed_inside_the_object():
    file = schedules.parse(TEXT)

    after = edited(
        TEXT, set_fields(file, file.schedules[0], {"selectedDays": {"mon": True, "tue": True}})
    )

    assert after == TEXT.replace('"tue": false', '"tue": true')


def test_a_new_field_goes_to_the_end_in_the_entry_s_layout_and_spelling():
    file = schedules.parse(TEXT)
    first, second = file.schedules

    edits = set_fields(file, first, {"active": False}) + set_fields(
        file, second, {"startDate": "x"}
    )

    assert edited(TEXT, edits) == TEXT.replace(
        '\\u00e9"\n', '\\u00e9",\n      "active": false\n'
    ).replace('"hour"}', '"hour", "start_date": "x"}')


def test_an_unchanged_value_gives_no_edit():
    file = schedules.parse(TEXT)

    assert set_fields(file, file.schedules[0], {"timeInterval": 10, "name": "Nightly"}) == ()


EMPTIES = ("", " \n", "{}", '{"schedules": []}', '{\n  "a": 1\n}', '{"schedules": null}')


@pytest.mark.parametrize("text", [*EMPTIES, '{"schedules":[{"id":"0"}]}', TEXT])
def test_a_schedule_is_added_to_whatever_is_there(text: str):
    file = schedules.parse(text)

    after = schedules.parse(edited(text, add_schedule(file, {"id": "new", "name": "N"})))

    assert after.valid
    assert len(after.schedules) == len(file.schedules) + 1
    assert after.schedules[-1].raw == {"id": "new", "name": "N"}


def test_there_is_no_place_for_a_schedule_in_a_number():
    with pytest.raises(UneditableError):
        add_schedule(schedules.parse("7"), {})


LEAVES = st.none() | st.booleans() | st.integers(-99, 99) | st.text('ab\\"{}[],é\n', max_size=6)
ENTRIES = st.dictionaries(
    st.sampled_from([*FIELDS[:9], *map(snake, FIELDS[5:9]), "note", "//", ""]),
    LEAVES | st.dictionaries(st.sampled_from(("mon", "tue")), st.booleans()),
    max_size=6,
)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A schedules file in one of many layouts."""
    entries = draw(st.lists(ENTRIES, min_size=1, max_size=4))
    indent = draw(st.sampled_from((None, 0, 2, 4, "\t")))
    colon = draw(st.sampled_from((":", ": ", " : ")))
    text = json.dumps(
        {"before": 1, "schedules": entries, "after": [1]},
        indent=indent,
        ensure_ascii=draw(st.booleans()),
        separators=("," if indent is not None else draw(st.sampled_from((",", ", "))), colon),
    )
    return text.replace("\n", draw(st.sampled_from(("\n", "\r\n"))))


def values(text: str) -> object:
    return json.loads(text)["schedules"]


def outside(text: str, edits: tuple[Edit, ...]) -> list[str]:
    """The pieces of the text that no edit touches."""
    bounds = sorted(edit.span for edit in edits)
    starts = [0, *(span.end for span in bounds)]
    ends = [*(span.start for span in bounds), len(text)]
    return [text[a:b] for a, b in zip(starts, ends, strict=True)]


def check_edits(text: str, edits: tuple[Edit, ...]) -> object:
    """Apply them, prove that every piece outside stays, and give the new schedules."""
    after = edited(text, edits)
    position = 0
    for piece in outside(text, edits):
        position = after.index(piece, position) + len(piece)
    whole = json.loads(after)
    assert (whole["before"], whole["after"]) == (1, [1])
    assert ("\r\n" in after) == ("\r\n" in text) or "\n" not in text
    return whole["schedules"]


@given(
    files(),
    st.integers(0, 3),
    st.dictionaries(st.sampled_from(("name", "active", "x")), LEAVES, min_size=1),
)
def test_setting_fields_changes_them_and_nothing_else(
    text: str, index: int, changes: dict[str, object]
):
    file = schedules.parse(text)
    schedule = file.schedules[index % len(file.schedules)]

    found = check_edits(text, set_fields(file, schedule, changes))

    expected = values(text)
    assert isinstance(found, list)
    assert isinstance(expected, list)
    entry = found[schedule.index]
    for name, value in changes.items():
        assert str(entry[name]) == str(value)
        entry.pop(name)
        expected[schedule.index].pop(name, None)
    assert found == expected


@given(files(), st.integers(0, 3), st.sets(st.sampled_from(("id", "name", "mode", "note"))))
def test_removing_fields_removes_them_and_nothing_else(text: str, index: int, names: set[str]):
    file = schedules.parse(text)
    schedule = file.schedules[index % len(file.schedules)]

    found = check_edits(text, remove_fields(schedule, sorted(names)))

    expected = values(text)
    assert isinstance(expected, list)
    for name in names:
        expected[schedule.index].pop(name, None)
    assert found == expected


@given(files(), st.integers(0, 3))
def test_removing_a_schedule_removes_it_and_nothing_else(text: str, index: int):
    file = schedules.parse(text)
    schedule = file.schedules[index % len(file.schedules)]

    found = check_edits(text, remove_schedule(file, schedule))

    expected = values(text)
    assert isinstance(expected, list)
    expected.pop(schedule.index)
    assert found == expected


@given(files(), ENTRIES)
def test_adding_a_schedule_appends_it_and_nothing_else(text: str, entry: dict[str, object]):
    found = check_edits(text, add_schedule(schedules.parse(text), entry))

    expected = values(text)
    assert isinstance(expected, list)
    assert found == [*expected, entry]


@given(st.text() | files().flatmap(lambda text: st.integers(0, len(text)).map(lambda n: text[:n])))
def test_no_text_raises(text: str):
    file = schedules.parse(text)

    assert file.product.verdict
    for schedule in file.schedules:
        assert schedule.label
        assert schedule.place("mode").end <= len(text)
