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
