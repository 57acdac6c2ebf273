"""Table files as data sets."""
