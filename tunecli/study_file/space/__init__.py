"""The tree of ranges: parameters, conditions, and configurations."""
