"""Pure findings: one function a rule, its docstring is its page."""
