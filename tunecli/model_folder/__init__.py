"""Turn a trial into a model: refit it, score it on the test set, describe it, use it."""
