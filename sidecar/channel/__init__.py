"""What editors and agents start: relays a client to the workspace's sidecar, imports little."""
