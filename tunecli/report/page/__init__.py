"""A study as one HTML file that needs no network: findings, plots, and a table of all trials."""
