"""Train one configuration on its folds."""
