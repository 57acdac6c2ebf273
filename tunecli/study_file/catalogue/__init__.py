"""Look up names and arguments of libraries and of the user's code, without importing them."""
