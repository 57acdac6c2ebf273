"""The next trial, the same after every resume."""
