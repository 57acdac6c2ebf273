"""What a study can say, as frozen values."""
