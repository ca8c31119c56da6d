"""A test for each example: it does what its docstring says."""
