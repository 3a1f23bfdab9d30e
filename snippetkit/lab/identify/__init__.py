"""Song identification under noise (notebook 05)."""
