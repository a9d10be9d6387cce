"""Which variant is put forward."""
