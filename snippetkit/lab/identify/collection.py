"""The recordings of two folders, songs and noises: decoded, split, and made into data sets for the networks."""

import re
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np

from ...audio import recordings
from ...utils.artifacts import digest, fingerprint
from ...utils.errors import KitError, listed
from ...utils.parallel import parallel_map
from ..spectrogram import MelSpectrogram
from .fragments import NoisyFragments, SoundBank, Sounds
from .noise import Mix

FRAGMENTS = 200         # of each song in an epoch, as published
_HELD_OUT = 20          # of each song in the validation set and in the test set
_VALID_SEED, _TEST_SEED = 1, 2
_TEST_SHARE = 4         # every fourth source of noises is for the tests
_UNKNOWN_SEED = 0       # of the choice of unknown songs


@dataclass(frozen=True, kw_only=True)
class SongData:
    """What a network learns songs from. It has the interface of `training.data.TrainingData`.

    Attributes
    ----------
    names : list of str
        Of the songs; each is a class.
    songs, noises, test_noises : list of ndarray, shape (samples,), float32
        At the sample rate of the recipe. The noises for the tests come from other sources than those for training.
    source : str
        Fingerprint of the files.
    fragments : int
        Of each song in an epoch.
    mix : Mix
    unknown : list of ndarray, shape (samples,), float32
        Songs that are kept out of the training.
    """

    names: list
    songs: list
    noises: list
    test_noises: list
    source: str
    fragments: int = FRAGMENTS
    mix: Mix = field(default_factory=Mix)
    unknown: list = ()

    @property
    def class_names(self):
        return self.names

    @property
    def classes(self):
        return len(self.names)

    @property
    def choices(self):
        """What identifies the training data, as JSON values."""
        mix = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.mix).items()}
        return {"names": self.names, "sounds": self.source, "fragments": self.fragments, **mix}

    def fingerprint(self, recipe):
        return digest(self.choices)

    @property
    def tested_on(self):
        """What identifies the recordings of the tests, as JSON values: also the unknown songs."""
        return [self.choices, [len(song) for song in self.unknown]]

    def sounds(self, recipe, device, *, test=False, unknown=False):
        """Move recordings to a device.

        Parameters
        ----------
        recipe : Recipe
        device : Device
        test : bool
            Whether the noises are those for the tests.
        unknown : bool
            Whether the songs are the unknown ones.

        Returns
        -------
        Sounds
        """
        return Sounds(
            songs=SoundBank(self.unknown if unknown else self.songs, device=device.name),
            noises=SoundBank(self.test_noises if test else self.noises, device=device.name),
            spectrogram=MelSpectrogram(recipe, device=device.name), samples=recipe.samples,
        )

    def datasets(self, recipe, member, device):
        """Training set, new in every epoch; validation set; test set, under the noises for the tests."""
        training, test = self.sounds(recipe, device), self.sounds(recipe, device, test=True)
        return (
            NoisyFragments(training, self.fragments, mix=self.mix),
            NoisyFragments(training, _HELD_OUT, mix=self.mix, seed=_VALID_SEED),
            NoisyFragments(test, _HELD_OUT, mix=self.mix, seed=_TEST_SEED),
        )


def load_songs(songs, noises, recipe, *, unknown=0, fragments=FRAGMENTS, mix=Mix(), jobs=-1):
    """Decode the recordings of two folders and split them.

    Parameters
    ----------
    songs, noises : path-like
        Folders with one recording per file. A song is named after its file. Noises whose names differ only in a last
        letter (``007_2-188822-A``, ``-B``) are takes of one source, which is used either for training or for tests.
    recipe : Recipe
    unknown : int
        Number of songs, chosen at random, that are kept out of the training.
    fragments : int
        As in `SongData`.
    mix : Mix
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    SongData

    Raises
    ------
    KitError
        If a folder holds too few recordings, or two that differ only in their suffix; if recordings cannot be decoded,
        or songs are shorter than a fragment.
    """
    paths, noise_paths = recordings.distinct_recordings(songs), recordings.distinct_recordings(noises)
    load = partial(_load, sample_rate=recipe.sample_rate)
    results = parallel_map(load, [*paths, *noise_paths], jobs=jobs, title="songs and noises", unit="recording")
    if faults := [result for result in results if isinstance(result, str)]:
        raise KitError(f"{len(faults)} recordings cannot be used; repair or remove them: {listed(faults)}")
    signals, backgrounds = results[: len(paths)], results[len(paths) :]
    if short := [path.name for path, signal in zip(paths, signals) if len(signal) < recipe.samples]:
        raise KitError(f"songs in {songs} are shorter than {recipe.seconds:g} s: {listed(short)}. Remove them.")
    is_test = choose_test_noises([path.stem for path in noise_paths])
    if len(paths) < unknown + 2 or len(set(is_test)) < 2:
        raise KitError(
            f"{songs} and {noises} hold {len(paths)} songs and {len(backgrounds)} noises. At least {unknown + 2} songs "
            f"({unknown} of them unknown) and {_TEST_SHARE} noises are needed."
        )
    order = np.random.default_rng(_UNKNOWN_SEED).permutation(len(paths))
    known = sorted(order[unknown:])
    return SongData(
        names=[paths[i].stem for i in known], songs=[signals[i] for i in known],
        noises=[noise for noise, test in zip(backgrounds, is_test) if not test],
        test_noises=[noise for noise, test in zip(backgrounds, is_test) if test],
        source=fingerprint([*(paths[i] for i in known), *noise_paths]), fragments=fragments, mix=mix,
        unknown=[signals[i] for i in sorted(order[:unknown])],
    )


def _load(path, sample_rate):
    try:
        return recordings.load(path, sample_rate=sample_rate)
    except KitError as error:
        return str(error)


def choose_test_noises(names):
    """Decide which noises are for the tests; takes of one source stay together.

    Examples
    --------
    >>> choose_test_noises(["1-7-A", "1-7-B", "1-8-A"])
    [True, True, False]
    """
    sources = [re.sub(r"[-_ ]?[A-Za-z]$", "", name) for name in names]
    test_sources = set(sorted(set(sources))[::_TEST_SHARE])
    return [source in test_sources for source in sources]
