"""What a model is worth: its scores, its weaknesses, what it costs, and what a simple rule would score."""
