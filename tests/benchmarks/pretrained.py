"""Views of pretrained networks: what each takes for one sound of a clip, decoding included."""

import tempfile
from functools import partial
from pathlib import Path

from features import read_clips
from side_by_side import benchmark, timed

from snippetkit.features.pretrained.extraction import NETWORKS, View, extract
from snippetkit.recipe import Recipe
from snippetkit.vocals.clips import Sources

RECIPE = Recipe.quick()
CLIPS, FEW = 256, 64


def view_of(network, data):
    clips, view = read_clips(data), View(network, "mixture")

    def compute(count):
        sources = Sources(*[dict(enumerate(clips[:count]))] * 2, {}, {}, fingerprint="")
        with tempfile.TemporaryDirectory() as folder:
            extract(sources, Path(folder), "train", [view], RECIPE)

    return timed(lambda: compute(CLIPS), CLIPS, warm_up=lambda: compute(FEW))


if __name__ == "__main__":
    benchmark(
        {network: partial(view_of, network) for network in NETWORKS}, unit="clip", has_baseline=False, doc=__doc__
    )
