"""What editors and agents start: finds the sidecar and relays; standard library alone."""
