"""Statistics on the records of a study, as pure functions."""
