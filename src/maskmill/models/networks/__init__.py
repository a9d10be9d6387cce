"""The variants: one file each, whose function of the same name makes it."""
