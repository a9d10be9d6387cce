"""What the data are: the manifest, what is expected of it, copies, leaks and splits."""
