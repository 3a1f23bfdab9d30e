"""Classify 3-second music snippets by their singers: no voice, one male voice, one female voice, or more than one.

Importing the package imports none of its modules, so it takes no time.
"""

__version__ = "0.1.0"
