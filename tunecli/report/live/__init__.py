"""What a running search shows on the terminal."""
