"""Stop a trial or let it continue."""
