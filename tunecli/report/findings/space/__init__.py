"""Findings on the search space: ranges to widen or narrow, options and parameters to drop."""
