"""All pictures. Each function takes the data and returns a matplotlib Figure; `save` writes it as PNG."""

from .canvas import save
from .results import class_counts, confusion, ensemble_size, learning_curves, timeline, vocal_shares
from .songs import songs
from .sound import band_levels, clip, gallery, heard, separation, triangles

__all__ = [
    "band_levels", "class_counts", "clip", "confusion", "ensemble_size", "gallery", "heard",
    "learning_curves", "save", "separation", "songs", "timeline", "triangles", "vocal_shares",
]
