"""The validation harness: a plan of stages, each in a child process, read into one report."""
