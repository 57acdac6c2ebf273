"""The records of a study, and statistics on them as pure functions."""
