"""How weights are learned: the loop, the optimizer, checkpoints. Knows no tracking server."""
