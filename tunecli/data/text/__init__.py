"""Train tokenizers, and turn texts into tokens that all processes share."""
