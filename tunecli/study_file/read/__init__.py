"""Read plain data into settings and the search space, and report every mistake."""
