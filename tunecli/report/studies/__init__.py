"""Several studies: listed, compared, and the best of them."""
