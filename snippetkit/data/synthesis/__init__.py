"""Synthetic songs as arrays: source-filter singers over chords, bass and drums, all from one random generator.

`demo` plans the songs and writes them to files.
"""

from .mixing import song
from .music import CLIP_RATE, CLIP_SAMPLES

__all__ = ["CLIP_RATE", "CLIP_SAMPLES", "song"]
