"""The folder of a study, its locks, and the files in it."""
