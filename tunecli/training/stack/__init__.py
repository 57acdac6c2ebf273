"""Train the folds of a trial as one stack of models, to the same bits as one after the other."""
