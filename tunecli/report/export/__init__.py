"""Reports as JSON, CSV and Markdown."""
