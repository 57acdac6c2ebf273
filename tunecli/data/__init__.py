"""Turn a source into a data set with a test set, folds and fitted preprocessing."""
