"""The guide: the reference texts that `tunecli guide` shows, and the list of their topics."""
