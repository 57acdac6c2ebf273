"""The study database: one schema, one writer."""
