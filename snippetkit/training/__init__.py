"""Training the members of the ensemble (notebook 03)."""
