"""Arrays, and the data that a user's functions return, as data sets."""
