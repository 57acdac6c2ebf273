"""From plain data to settings and the search space, with every mistake at its place."""
