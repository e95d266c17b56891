"""Rules for timing files."""
