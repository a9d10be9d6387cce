"""Pages, their tables, charts and pictures."""
