"""The agent's face: the Model Context Protocol."""
