"""From a source to a data set, its test set and folds, and fitted preprocessing."""
