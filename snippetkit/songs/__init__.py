"""Which clips come from one song: inferred from sound alone, audited, and kept together when clips are held out.

`traces` listens to one clip, `continuation` finds clips that follow one another, `likeness` learns from them what one
song sounds like, `inference` joins both, `table` keeps the result, `folds` holds clips out by it, `audit` sums it up.
"""
