"""Mirroring a search into experiment trackers; the study database stays what counts."""
