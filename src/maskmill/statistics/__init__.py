"""Scores with their intervals over independent units, their differences, and slices."""
