"""Choose which trials form an ensemble, and judge what it gains, on out-of-fold predictions."""
