"""Rules for modes files."""
