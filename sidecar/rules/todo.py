"""Rules for todo files."""
