"""Where the keys of a TOML text stand."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.source import Span
from sidecar.domain.toml import Key, key_places, place

TEXT = """\
# [a.comment]
first = "a # no comment = [" # one
"quoted key" = 1
'literal' = '''
[not.a.table]
inner = "no"'''
dotted.below . deep = [ # a comment with ] and "
  1, [2, "]"], # ]
  { x = 1 },
]
more = @x""\\" y = 1
z = 2@
[table]
key = { inline = 1, other = "}" }
[ spaced . "sub" ]
last = 1
[[many]]
one = 1
[[many]]
one = 2""".replace("@", '"""')


def words(places: dict[Key, Span], text: str) -> dict[Key, str]:
    return {key: text[span.start : span.end] for key, span in places.items()}


def test_each_key_stands_where_its_last_word_is():
    found = words(key_places(TEXT), TEXT)

    assert found == {
        ("first",): "first",
        ("quoted key",): "quoted key",
        ("literal",): "literal",
        ("dotted",): "dotted",
        ("dotted", "below"): "below",
        ("dotted", "below", "deep"): "deep",
        ("more",): "more",
        ("table",): "table",
        ("table", "key"): "key",
        ("spaced",): "spaced",
        ("spaced", "sub"): "sub",
        ("spaced", "sub", "last"): "last",
        ("many",): "many",
        ("many", "one"): "one",
    }


def test_a_key_of_an_inline_table_stands_where_its_table_does():
    places = key_places(TEXT)

    assert place(places, ("table", "key", "inline")) == places["table", "key"]
    assert place(places, ("nowhere",)) == Span(0, 0)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_tomllib_reads_has_a_place(ending: str):
    text = TEXT.replace("\n", ending)
    read = tomllib.loads(text)

    assert {key for key in _keys(read) if key[:1] != ("many",)} <= {
        *key_places(text),
        ("table", "key", "inline"),
        ("table", "key", "other"),
    }


def _keys(value: Any, above: Key = ()) -> Iterator[Key]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*above, name)
            yield from _keys(inner, (*above, name))


PIECES = [*"[]{}=.#\n\\ a1é\"'", '"""', "'''"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_any_text_has_places_inside_it(text: str):
    for key, span in key_places(text).items():
        assert 0 <= span.start <= span.end <= len(text)
        assert text[span.start : span.end] == key[-1]


@given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True), unique=True, max_size=8))
def test_plain_keys_are_all_found(names: list[str]):
    text = "".join(f"{name} = [1, '''x = 2\n'''] # y = 3\n" for name in names)

    assert list(tomllib.loads(text)) == [key[0] for key in key_places(text)] == names


@pytest.mark.parametrize(
    "piece", ['"""\n\\', '\\"', '"\\', '"""', "'''\n'", "'", '"', "[", "a.", 'b\\"""\n']
)
@pytest.mark.parametrize("start", ["", 'a = "', 'a = """', "a = '''"])
def test_a_hostile_text_is_read_once_and_not_from_each_of_its_characters(start: str, piece: str):
    """Were it looked at from each again, or each word's key kept, this would not come to an end."""
    key_places(start + piece * (1_000_000 // len(piece)) + "\\")


def test_of_a_key_that_is_too_long_the_beginning_is_known():
    assert place(key_places("a." * 20 + "b = 1"), ("a",) * 3) == Span(4, 5)
