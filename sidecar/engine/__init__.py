"""The clock's face: due slots become durable runs, and runs are handed to agents."""
