"""Who sings in a 3-second music snippet: no voice, one male voice, one female voice, or more than one.

Each idea is a module of its own; importing the package imports none of them, so that it costs nothing.
"""

__version__ = "0.1.0"
