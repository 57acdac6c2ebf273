"""YAML text and plain data, with places for error messages; knows no study."""
