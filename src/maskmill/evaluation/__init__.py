"""Evaluate a model: its scores, weaknesses and cost, and what a simple rule would score."""
