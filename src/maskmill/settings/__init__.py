"""params.yaml: its typed sections and defaults, its one writer, and the names in it."""
