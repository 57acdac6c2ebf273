"""Decide whether a running trial stops early."""
