"""The texts of open editors."""

from __future__ import annotations

from sidecar.workspace.overlays import Overlays


def test_an_open_document_is_known_until_it_is_closed():
    overlays = Overlays()

    overlays.put("TODO.md", "first", 1)
    overlays.put("TODO.md", "second", 2)
    found = overlays.get("TODO.md")

    assert found is not None
    assert (found.text, found.version) == ("second", 2)
    assert overlays.paths() == ["TODO.md"]
    overlays.remove("TODO.md")
    overlays.remove("TODO.md")
    assert overlays.get("TODO.md") is None


def test_an_unsaved_text_counts_before_a_newer_one_that_is_as_saved():
    overlays = Overlays()
    overlays.put("TODO.md", "typed", 2, owner="typing")
    overlays.put("TODO.md", "saved", 1, owner="reading")

    found = overlays.unsaved("TODO.md", b"saved")

    assert found is not None
    assert (found.text, found.version) == ("typed", 2)
    assert overlays.unsaved("TODO.md", None) == overlays.get("TODO.md")
    overlays.remove("TODO.md", owner="typing")
    assert overlays.unsaved("TODO.md", b"saved") is None


def test_a_byte_order_mark_that_an_editor_hides_is_no_unsaved_change():
    overlays = Overlays()
    overlays.put("TODO.md", "saved", 1)

    assert overlays.unsaved("TODO.md", "\ufeffsaved".encode()) is None
