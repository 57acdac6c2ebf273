"""Run a search: resume, suggest, train, prune, record."""
