"""params.yaml: its typed sections with their defaults, the one writer, and the names that settings may have."""
