"""How good a segmentation is: one family of metrics per file."""
