"""Settings against the code and the data, before anything runs."""
