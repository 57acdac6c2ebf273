"""Tune PyTorch models from one YAML study file."""

__version__ = "0.1.0"
