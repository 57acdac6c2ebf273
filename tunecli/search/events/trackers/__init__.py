"""Copies of a search's events for MLflow, TensorBoard and Weights & Biases."""
