"""Rules for schedules files."""
