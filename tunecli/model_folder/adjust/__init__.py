"""Fit a temperature and a threshold to the out-of-fold predictions of a trial."""
