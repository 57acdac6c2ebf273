"""What training gives: scores, metrics, and why it failed."""
