"""What a report shows on the terminal."""
