"""Which clips come from one song (notebook 02): inferred from the sound alone, and kept together in cross-validation.

`traces` describes single clips, `continuation` finds clips that follow one another, `likeness` learns from them how
alike the clips of a song are, `inference` combines both, `table` keeps the result, `folds` splits by it, `audit`
summarises it.
"""
