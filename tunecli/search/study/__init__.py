"""Where a study lives, who holds it, and what it keeps in its folder."""
