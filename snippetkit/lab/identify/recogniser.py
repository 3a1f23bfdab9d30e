"""Song identification: one class per song, trained on noisy fragments, applied to the windows of a recording.

What the networks are and how a member is trained and resumed is the core's; how noise is mixed is `fragments`'.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from ...recipe import Recipe
from ...training.checkpoint import load_network
from ...training.epoch import predict
from ...training.member import train_member
from ...training.members import finished_members, member_folder, shared_recipe
from ...utils.artifacts import claim, digest, read_record
from ...utils.errors import KitError
from ...utils.hardware import find_devices
from ...utils.storage import read_json
from ..spectrogram import MelSpectrogram, decibels, normalised
from .bank import Bank
from .fragments import NoisyFragments, Sounds
from .noise import Mix

FRAGMENTS = 200         # of each song, an epoch, as published
WINDOW, STEP = 256, 51  # frames, as published
_HELD_OUT = 20          # fragments of each song to validate on
_VALID_SEED, _TEST_SEED = 1, 2
_SHORTEST = 1.0         # seconds of a recording of which anything can be said


def recipe(model="alexnet", *, epochs=32):
    """The published features: 22,050 Hz, 128 mel bands, hop 431, which makes 256 frames of 5 s.

    How it is trained is the kit's own (see `Recipe.best`); the numbers of epochs were published for each model.
    """
    return Recipe(
        members=1, separator="none", sample_rate=22_050, seconds=5.0, preemphasis=0.0, frame_length=2048, n_fft=2048,
        hop=431, window="hann", n_mels=128, f_max=11_025.0, model=model, dropout=0.5, epochs=epochs, lr=1e-3,
        weight_decay=1e-2, schedule="one_cycle", ema_decay=0.99,
    )


@dataclass(frozen=True, kw_only=True)
class SongData:
    """The data of song identification, with the interface of `training.data.TrainingData`.

    Attributes
    ----------
    names : list of str
        Of the songs, one class each.
    songs, noises, test_noises : list of ndarray, shape (samples,), float32
        At the recipe's rate. The test noises have other sources than the training noises.
    source : str
        Fingerprint of the files.
    fragments : int
        Of each song, per epoch.
    mix : Mix
    """

    names: list
    songs: list
    noises: list
    test_noises: list
    source: str
    fragments: int = FRAGMENTS
    mix: Mix = field(default_factory=Mix)

    @property
    def classes(self):
        return len(self.names)

    @property
    def choices(self):
        """Everything besides the recipe that determines a training, as JSON values."""
        mix = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.mix).items()}
        return {"names": self.names, "sounds": self.source, "fragments": self.fragments, **mix}

    def fingerprint(self, recipe):
        return digest(self.choices)

    def sounds(self, recipe, device, *, test=False):
        """Sources of fragments on a device: `Sounds` with the noises of the training or of the tests."""
        return Sounds(
            songs=Bank(self.songs, device=device.name),
            noises=Bank(self.test_noises if test else self.noises, device=device.name),
            spectrogram=MelSpectrogram(recipe, device=device.name), samples=recipe.samples,
        )

    def datasets(self, recipe, member, device):
        """Training set (new fragments in every epoch), validation set, and test set with the test noises."""
        training, test = self.sounds(recipe, device), self.sounds(recipe, device, test=True)
        return (
            NoisyFragments(training, self.fragments, mix=self.mix),
            NoisyFragments(training, _HELD_OUT, mix=self.mix, seed=_VALID_SEED),
            NoisyFragments(test, _HELD_OUT, mix=self.mix, seed=_TEST_SEED),
        )


def train(folder, data, recipe, *, device=None, clock=None):
    """Train a network, or continue an earlier run; returns whether it is finished.

    Parameters
    ----------
    folder : path-like
        Gets ``songs.json`` and ``member_00``: see `member.train_member`.
    data : SongData
    recipe : Recipe
    device : Device or None
    clock : Clock or None

    Raises
    ------
    KitError
        As `member.train_member`; if the folder contains a network of other songs, noises or mixes.
    """
    folder = Path(folder)
    device = device or find_devices(recipe.precision)[0]
    claim(folder / "songs.json", data.choices, artifact=folder)
    return train_member(member_folder(folder, 0), 0, recipe, data, device=device, clock=clock)


def count_windows(frames):
    """Windows of a recording: one each STEP frames that fits, ``1 + (frames - WINDOW) // STEP``, and one at least."""
    return 1 + max(0, (frames - WINDOW) // STEP)


@dataclass(frozen=True)
class Answer:
    """Which song a recording is.

    Attributes
    ----------
    top : dict
        The most probable songs and their probabilities, in descending order.
    is_unknown : bool
        Whether the highest probability is below the threshold.
    """

    top: dict
    is_unknown: bool

    @property
    def title(self):
        return "unknown song" if self.is_unknown else next(iter(self.top))


class Recogniser:
    """A trained network that identifies recordings.

    Parameters
    ----------
    folder : path-like
        As `train` makes it.
    device : Device or None

    Attributes
    ----------
    names : list of str
        Of the songs.
    recipe : Recipe
    threshold : float
        Lowest probability of a known song; 0 until it is chosen.

    Raises
    ------
    KitError
        If there is no trained network.
    """

    def __init__(self, folder, *, device=None):
        folder = Path(folder)
        record = read_record(folder / "songs.json")
        if record is None or not finished_members(folder):
            raise KitError(f"{folder} contains no network that knows songs. Run the notebook 05_identify_songs first.")
        self.names = record["made_by"]["names"]
        self.threshold = (read_json(folder / "threshold.json") or {}).get("threshold", 0.0)
        self.recipe, _ = shared_recipe(folder, [0])
        self.device = device or find_devices(self.recipe.precision)[0]
        self.spectrogram = MelSpectrogram(self.recipe, device=self.device.name)
        self.network = load_network(
            member_folder(folder, 0) / "last.pt", self.recipe, classes=len(self.names), device=self.device
        )

    @torch.inference_mode()
    def probabilities(self, signal):
        """Probabilities of the songs for each window of a recording.

        Parameters
        ----------
        signal : ndarray, shape (samples,), float32
            At the recipe's rate; repeated if it is shorter than a window.

        Returns
        -------
        ndarray, shape (count_windows(frames), songs), float32

        Raises
        ------
        KitError
            If it is shorter than a second.
        """
        rate = self.recipe.sample_rate
        if len(signal) < _SHORTEST * rate:
            seconds = len(signal) / rate
            raise KitError(f"the recording of {seconds:.1f} s is too short. Record at least {_SHORTEST:g} s.")
        shortest = (WINDOW - 1) * self.recipe.hop
        if len(signal) < shortest:
            signal = np.resize(signal, shortest)
        energy = self.spectrogram.energy(torch.tensor(signal, device=self.device.name)[None])[0]
        windows = energy.unfold(0, WINDOW, STEP).transpose(1, 2)    # (windows, frames, bands)
        logits = predict(self.network, _Windows(normalised(decibels(windows))[:, None]), self.device)
        return torch.from_numpy(logits).softmax(dim=1).numpy()

    def answer(self, signal, count=5):
        """The most probable songs of a recording, by the mean over its windows: `Answer`."""
        return self.concluded(self.probabilities(signal), count)

    def concluded(self, probabilities, count=5):
        """`answer` for given probabilities of the windows."""
        mean = probabilities.mean(axis=0)
        best = np.argsort(-mean)[:count]
        return Answer({self.names[i]: float(mean[i]) for i in best}, bool(mean.max() < self.threshold))


class _Windows:
    """Windows as `epoch.predict` takes them."""

    labels = None

    def __init__(self, windows):
        self._windows = windows

    def batches(self, size, *, order=None, generator=None):
        yield from self._windows.split(size)
