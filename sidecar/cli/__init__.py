"""The shell's face: one file per command."""
