"""Score and continue texts with a language model."""
