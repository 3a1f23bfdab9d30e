"""Songs and noises of two folders, decoded and split; some songs are kept back as unknown."""

import re
from dataclasses import dataclass, replace

import numpy as np

from ...recipe import Recipe
from ...utils.artifacts import fingerprint
from ...utils.errors import KitError, listed
from ...utils.parallel import parallel_map
from .. import sound
from .noise import Mix
from .recogniser import FRAGMENTS, SongData

_TEST_EVERY = 4     # every fourth source of noise is kept for the tests
_SEED = 0           # for the choice of unknown songs


@dataclass(frozen=True)
class Collection:
    """Songs and noises, decoded.

    Attributes
    ----------
    recipe : Recipe
    data : SongData
        Of the known songs.
    unknown : list of ndarray, shape (samples,), float32
        Songs that are in no training set.
    """

    recipe: Recipe
    data: SongData
    unknown: list

    def test_sounds(self, device):
        """Sources of test fragments: the known songs, and the noises kept for tests."""
        return self.data.sounds(self.recipe, device, test=True)

    def unknown_sounds(self, device):
        """The same with the unknown songs."""
        return replace(self.data, songs=self.unknown).sounds(self.recipe, device, test=True)


def collect(songs, noises, recipe, *, unknown=0, fragments=FRAGMENTS, mix=Mix(), jobs=-1):
    """Read all recordings of two folders.

    Parameters
    ----------
    songs, noises : path-like
        One recording per file; a song is named after its file. Noises whose names differ only in a last letter
        (``007_2-188822-A``, ``-B``) are takes of one source, which is used either in training or in the tests.
    recipe : Recipe
    unknown : int
        Number of randomly chosen songs that are kept back.
    fragments : int
        As in `recogniser.SongData`.
    mix : Mix
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    Collection

    Raises
    ------
    KitError
        If a folder has too few recordings or two of the same name, a recording cannot be decoded, or a song is shorter
        than a fragment.
    """
    paths, noise_paths = sound.recordings(songs), sound.recordings(noises)
    _refuse_doubles(paths, songs)
    _refuse_doubles(noise_paths, noises)
    signals = _decoded([*paths, *noise_paths], recipe, jobs)
    signals, background = signals[: len(paths)], signals[len(paths) :]
    if short := [path.name for path, signal in zip(paths, signals) if len(signal) < recipe.samples]:
        raise KitError(f"songs in {songs} that are shorter than {recipe.seconds:g} s: {listed(short)}. Leave them out.")
    is_test = _for_tests([path.stem for path in noise_paths])
    if len(signals) < unknown + 2 or len(set(is_test)) < 2:
        raise KitError(
            f"{songs} and {noises} contain {len(signals)} songs and {len(background)} noises, but {unknown + 2} songs "
            f"({unknown} are kept back as unknown) and {_TEST_EVERY} noises are needed."
        )
    order = np.random.default_rng(_SEED).permutation(len(signals))
    known = sorted(order[unknown:])
    data = SongData(
        names=[paths[i].stem for i in known], songs=[signals[i] for i in known],
        noises=[noise for noise, test in zip(background, is_test) if not test],
        test_noises=[noise for noise, test in zip(background, is_test) if test],
        source=fingerprint([*(paths[i] for i in known), *noise_paths]), fragments=fragments, mix=mix,
    )
    return Collection(recipe, data, [signals[i] for i in sorted(order[:unknown])])


def _refuse_doubles(paths, folder):
    stems = [path.stem for path in paths]
    if doubled := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise KitError(f"{folder} contains several recordings of one name: {', '.join(doubled)}. Rename some.")


def _for_tests(names):
    """Whether each noise is for the tests: takes of one source stay together."""
    sources = [re.sub(r"[-_ ]?[A-Za-z]$", "", name) for name in names]
    kept = set(sorted(set(sources))[::_TEST_EVERY])
    return [source in kept for source in sources]


def _decoded(paths, recipe, jobs):
    rates = [recipe.sample_rate] * len(paths)
    signals = parallel_map(_load, paths, rates, jobs=jobs, title="songs and noises", unit="recording")
    if faults := [message for message in signals if isinstance(message, str)]:
        raise KitError(f"{len(faults)} recordings cannot be used. Repair or remove them: {listed(faults)}")
    return signals


def _load(path, sample_rate):
    try:
        return sound.load(path, sample_rate=sample_rate)
    except KitError as error:
        return str(error)
