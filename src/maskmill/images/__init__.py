"""From a file to pixels and class ids, by one policy wherever a file is read."""
