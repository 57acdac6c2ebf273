"""Findings and statistics from the study database, shown on the terminal, a page and in files."""
