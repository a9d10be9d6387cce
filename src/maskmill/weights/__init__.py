"""Weights to start from: fetched, read, and matched to a network."""
