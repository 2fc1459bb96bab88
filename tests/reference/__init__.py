"""Slow oracles in NumPy that share no code with the library."""
