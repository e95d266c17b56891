"""The one sidecar of a workspace: its process, who is connected to it, and how it ends."""
