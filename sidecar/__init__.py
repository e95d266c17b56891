"""The sidecar: looks after the plain files by which AI agents work in loops."""

__version__ = "0.1.0"
