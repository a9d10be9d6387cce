"""Errors, files, processes, the repository, parts by name, and what code a function reaches."""
