"""What came out: runs, registered versions, and which of them is the champion. MLflow keeps it."""
