"""The one gate through which the user's code is imported."""
