"""Encode the token ids of a text as one vector: embeddings, and the layers above them."""
