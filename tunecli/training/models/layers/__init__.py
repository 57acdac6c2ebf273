"""The layers that several of tunecli's own models share."""
