"""Vocal separation (notebook 01)."""
