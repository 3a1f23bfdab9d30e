"""Models and explanations for the singers task (notebook 07)."""
