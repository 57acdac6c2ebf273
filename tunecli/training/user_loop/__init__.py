"""Run training loops that the user writes."""
