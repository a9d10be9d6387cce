"""What stands before every server."""
