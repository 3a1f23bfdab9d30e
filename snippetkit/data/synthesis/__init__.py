"""Songs made of arithmetic: singers by source and filter over chords, bass and drums, all from one random generator.

Sound only, as arrays; which songs there are and how they become files is `demo`'s business.
"""

from .mixing import song
from .music import CLIP_RATE, CLIP_SAMPLES

__all__ = ["CLIP_RATE", "CLIP_SAMPLES", "song"]
