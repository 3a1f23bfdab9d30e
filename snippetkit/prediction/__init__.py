"""Averaging the members' scores, evaluation, and the report (notebook 04)."""
