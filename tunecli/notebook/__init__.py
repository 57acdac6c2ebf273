"""Studies from Python: tables as DataFrames, figures, and searches that are called."""
