"""Columns of a table: read as numbers, dates and categories, and described."""
