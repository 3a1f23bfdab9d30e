"""Genre classification (notebook 06)."""
