"""What an expert would read off a study: pure functions from evidence to findings."""
