"""What can be done: the 20 tools are 20 of these functions."""
