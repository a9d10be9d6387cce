"""Predict many images, or ones larger than memory: a kill loses little, nothing comes twice."""
