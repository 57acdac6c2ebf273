"""Columns of a table: cells as numbers, dates and categories, and what becomes of each column."""
