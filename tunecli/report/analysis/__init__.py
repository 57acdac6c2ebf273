"""A study's records, and what follows from them: pure functions."""
