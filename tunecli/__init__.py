"""Tune PyTorch models from one YAML study file."""

from tunecli.errors import TrialStopped

__all__ = ["TrialStopped"]

__version__ = "0.1.0"
