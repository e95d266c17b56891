"""Ways to have a run worked on: an agent over ACP, a command, a handoff, the sidecar itself."""
