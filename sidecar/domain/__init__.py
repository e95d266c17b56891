"""Pure: text to model to edits; no I/O, no clock, no protocol."""
