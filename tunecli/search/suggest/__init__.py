"""Suggest the next trial, the same one after every resume."""
