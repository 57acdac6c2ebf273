"""Read one study file: check it, compare it, print it."""
