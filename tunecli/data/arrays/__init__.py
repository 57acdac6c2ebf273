"""Arrays, and what the user's own functions return, as data sets."""
