"""Read, check, compare and print a study file."""
