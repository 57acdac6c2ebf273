"""From a trial to a model in use: refit, its test score, its card."""
