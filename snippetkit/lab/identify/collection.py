"""From two folders, songs and noises, to what networks learn from: decoded, split, some songs kept back as unknown."""

import re
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed

from ...recipe import Recipe
from ...utils.artifacts import fingerprint
from ...utils.errors import KitError, listed
from ...utils.progress import progress
from .. import sound
from .noise import Mix
from .recogniser import FRAGMENTS, SongData

_OF_TESTS = 4   # each fourth source of noises is kept for the tests
_SEED = 0       # of which songs are kept back


@dataclass(frozen=True)
class Collection:
    """Songs and noises, decoded.

    Attributes
    ----------
    recipe : Recipe
    data : SongData
        Of the songs that are learned.
    unknown : list of ndarray, shape (samples,), float32
        Songs that no network hears in training.
    """

    recipe: Recipe
    data: SongData
    unknown: list

    def test_sounds(self, device):
        """What test fragments are made from: the songs learned, and the noises kept for tests."""
        return self.data.sounds(self.recipe, device, test=True)

    def unknown_sounds(self, device):
        """The same of the songs that were kept back."""
        return replace(self.data, songs=self.unknown).sounds(self.recipe, device, test=True)


def collect(songs, noises, recipe, *, unknown=0, fragments=FRAGMENTS, mix=Mix(), jobs=-1):
    """Read all recordings of two folders.

    Parameters
    ----------
    songs, noises : path-like
        A recording each file; the name of a song is its file's. Noises whose names differ in a last letter alone
        (``007_2-188822-A``, ``-B``) are takes of one source, which is heard either in training or in the tests.
    recipe : Recipe
    unknown : int
        How many songs, drawn by chance, are kept back.
    fragments : int
        As in `identify.SongData`.
    mix : Mix
    jobs : int
        Processes, as joblib counts them.

    Returns
    -------
    Collection

    Raises
    ------
    KitError
        If a folder holds too few recordings, or two of one name but for the suffix; if some cannot be decoded, or a
        song is shorter than a fragment.
    """
    paths, noise_paths = sound.recordings(songs), sound.recordings(noises)
    _refuse_doubles(paths, songs)
    _refuse_doubles(noise_paths, noises)
    heard = _decoded([*paths, *noise_paths], recipe, jobs)
    heard, background = heard[: len(paths)], heard[len(paths) :]
    if short := [path.name for path, each in zip(paths, heard) if len(each) < recipe.samples]:
        raise KitError(f"songs in {songs} that are shorter than {recipe.seconds:g} s: {listed(short)}; leave them out.")
    is_test = _for_tests([path.stem for path in noise_paths])
    if len(heard) < unknown + 2 or len(set(is_test)) < 2:
        raise KitError(
            f"{songs} and {noises} hold {len(heard)} songs and {len(background)} noises; it takes {unknown + 2} songs "
            f"({unknown} are kept back as unknown) and {_OF_TESTS} noises."
        )
    order = np.random.default_rng(_SEED).permutation(len(heard))
    learned = sorted(order[unknown:])
    data = SongData(
        names=[paths[i].stem for i in learned], songs=[heard[i] for i in learned],
        noises=[each for each, test in zip(background, is_test) if not test],
        test_noises=[each for each, test in zip(background, is_test) if test],
        source=fingerprint([*(paths[i] for i in learned), *noise_paths]), fragments=fragments, mix=mix,
    )
    return Collection(recipe, data, [heard[i] for i in sorted(order[:unknown])])


def _refuse_doubles(paths, folder):
    stems = [path.stem for path in paths]
    if doubled := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise KitError(f"{folder} holds several recordings of one name: {', '.join(doubled)}; rename or remove some.")


def _for_tests(names):
    """Whether each noise is for the tests: takes of one source stay together."""
    sources = [re.sub(r"[-_ ]?[A-Za-z]$", "", name) for name in names]
    kept = set(sorted(set(sources))[::_OF_TESTS])
    return [source in kept for source in sources]


def _decoded(paths, recipe, jobs):
    waiting = Parallel(jobs, return_as="generator")(delayed(_load)(path, recipe.sample_rate) for path in paths)
    heard = list(progress(waiting, total=len(paths), title="songs and noises", unit="recording"))
    if faults := [each for each in heard if isinstance(each, str)]:
        raise KitError(f"{len(faults)} recordings cannot be used; mend or remove them: {listed(faults)}")
    return heard


def _load(path, sample_rate):
    try:
        return sound.load(path, sample_rate=sample_rate)
    except KitError as error:
        return str(error)
