"""One HTML file on a study that needs no network: findings, plots, and a table of all trials."""
