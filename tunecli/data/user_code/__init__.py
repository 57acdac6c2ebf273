"""The one gate through which the user's own code is imported."""
