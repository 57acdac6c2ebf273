"""The events that a search reports while it runs."""
