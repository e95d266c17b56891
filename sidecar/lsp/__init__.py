"""The editor's face: the Language Server Protocol."""
