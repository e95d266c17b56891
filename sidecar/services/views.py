"""Each call's view of one workspace, in every process that serves calls."""

from __future__ import annotations

from dataclasses import replace

from sidecar.services.context import Client, Context, Progress, unheard
from sidecar.settings import Settings

# Sessions whose views are kept; a view is small, and quickly made anew.
_MOST_KEPT = 64


class Views:
    """Makes views of ``context``; a tool can put other settings in force for those that follow."""

    def __init__(self, context: Context) -> None:
        self._made: dict[Client, Context] = {}
        self._context = context

    @property
    def context(self) -> Context:
        """The view of nobody in particular."""
        return self._context

    @context.setter
    def context(self, context: Context) -> None:
        # In this order, and with a new dictionary: a view that is being made of what was in force
        # before may be kept in the old one only.
        self._context = context
        self._made = {}

    def __call__(self, client: Client, progress: Progress) -> Context:
        """The view of a client for one call."""
        if progress is not unheard:
            return self._view(client, progress)
        made = self._made
        view = made.get(client)
        if view is None:
            if len(made) >= _MOST_KEPT:
                made.clear()
            view = made[client] = self._view(client, progress)
        return view

    def _view(self, client: Client, progress: Progress) -> Context:
        # A server that was started in a run has no clients but that run's.
        own = replace(client, run=client.run or self._context.client.run)
        return replace(self._context, client=own, progress=progress, reload=self._reload)

    def _reload(self, settings: Settings) -> None:
        self.context = replace(self._context, settings=settings)
