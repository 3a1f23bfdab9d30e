"""Networks that others trained on large collections, as features of a clip."""
