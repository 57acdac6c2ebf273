"""The files of a model folder, written whole and read without running anything."""
