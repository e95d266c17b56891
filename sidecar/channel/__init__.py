"""What editors and agents start: finds the workspace's sidecar and relays; standard library alone."""
