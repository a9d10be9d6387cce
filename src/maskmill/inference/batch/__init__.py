"""Predict many images, or ones larger than memory, so that a kill loses little and nothing twice."""
