"""The study database: one schema, one writer, one reader, and the checks on what is read."""
