"""What a model is worth, against what, and the page that shows it."""
