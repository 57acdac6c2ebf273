"""The view of a running search on the terminal."""
