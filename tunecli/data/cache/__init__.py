"""Data sets that are made once and mapped into memory by all processes."""
