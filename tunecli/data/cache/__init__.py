"""Data sets that one process makes and all processes map into memory."""
