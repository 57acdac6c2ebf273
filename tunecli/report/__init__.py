"""From the study database to knowledge, and to the terminal, a page and files."""
