"""What installed libraries and the user's own code offer, read without importing them."""
