"""Log-mel features of all clips as one array on disk (notebook 02)."""
