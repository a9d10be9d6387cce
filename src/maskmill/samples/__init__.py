"""Prepared samples: packed into shards, drawn, augmented and standardised."""
