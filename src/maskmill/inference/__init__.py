"""From an image to a mask with trained weights."""
