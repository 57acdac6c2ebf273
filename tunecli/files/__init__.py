"""Write files and folders whole or not at all, and never through another user's link."""
