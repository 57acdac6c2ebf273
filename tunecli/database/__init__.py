"""The study database: its schema, its writer, and the checks on what is read from it."""
