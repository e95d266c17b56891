"""Rules for memory files."""
