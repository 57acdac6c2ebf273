"""The outcome of training: scores, metrics, limits, and reasons of failures."""
