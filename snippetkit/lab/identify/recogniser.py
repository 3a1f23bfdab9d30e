"""One network that identifies songs: its recipe, its training, and its answer about a recording of any length.

Every song is a class. The networks, their training and how it is resumed belong to the core.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from ...dataset import SnippetDataset
from ...recipe import Recipe
from ...training.epoch import predict
from ...training.member import train_member
from ...training.members import finished_members, member_folder, shared_recipe
from ...training.weights import load_network
from ...utils.artifacts import claim, fingerprint, read_record
from ...utils.errors import KitError
from ...utils.hardware import find_devices
from ...utils.paths import runs_folder
from ...utils.storage import read_json
from ..spectrogram import MelSpectrogram, decibels, normalise
from .answers import UNKNOWN, Identification

WINDOW, STEP = 256, 51  # frames, as published
# Accuracy on other fragments of its 57 songs that the published system had, under noise from -5 to 20 dB.
PUBLISHED = {"dense": (0.783, -5, 20), "alexnet": (0.929, -5, 20), "resnet50": (0.944, -5, 20)}
_SHORTEST = 1.0         # seconds of a recording
_ANSWER_EVERY = 5       # windows, a second each


def song_recipe(model="alexnet", *, epochs=32):
    """The recipe of song identification, with the published features.

    22,050 Hz, 128 mel bands and a hop of 431 samples give 256 frames for 5 s. The numbers of epochs were published for
    each model. The rest of the training is the kit's own, see `recipe.LIGHT_TRAINING`.
    """
    return Recipe(
        members=1, separator="none", sample_rate=22_050, seconds=5.0, preemphasis=0.0, frame_length=2048, n_fft=2048,
        hop=431, window="hann", n_mels=128, f_max=11_025.0, model=model, dropout=0.5, epochs=epochs, lr=1e-3,
        weight_decay=1e-2, schedule="one_cycle", ema_decay=0.99,
    )


def train(folder, data, recipe, *, device, clock=None):
    """Train a network, or continue an interrupted training.

    Parameters
    ----------
    folder : path-like
        Gets the record ``songs.json``, and in ``member_00`` the files of a member, see `member.train_member`.
    data : SongData
    recipe : Recipe
    device : Device
    clock : Clock or None

    Returns
    -------
    bool
        Whether the training is finished.

    Raises
    ------
    KitError
        As `member.train_member`; if the folder holds a network of other songs, other noises or another mix.
    """
    claim(Path(folder, "songs.json"), data.choices, artifact=folder)
    return train_member(member_folder(folder, 0), 0, recipe, data, device=device, clock=clock)


def conclude(probabilities, names, *, threshold=0.0, count=5):
    """Name the likeliest songs by their mean probability over the windows of a recording.

    Parameters
    ----------
    probabilities : ndarray, shape (windows, songs)
    names : sequence of str
    threshold : float
        If no probability reaches it, the title is `UNKNOWN`.
    count : int
        Number of songs.

    Returns
    -------
    title : str
    top : dict
        The likeliest songs and their probabilities, in descending order.

    Examples
    --------
    >>> conclude(np.array([[0.25, 0.75], [0.5, 0.5]]), ["one", "two"])
    ('two', {'two': 0.625, 'one': 0.375})
    """
    mean = probabilities.mean(axis=0)
    best = np.argsort(-mean)[:count]
    return names[best[0]] if mean.max() >= threshold else UNKNOWN, {names[i]: float(mean[i]) for i in best}


class Recogniser:
    """A trained network that identifies recordings.

    Parameters
    ----------
    folder : path-like
        Of a finished `train`.
    device : Device or None

    Attributes
    ----------
    folder : Path
    names : list of str
        Of the songs.
    recipe : Recipe
    device : Device
    wanted : dict
        How to load a recording: ``sample_rate`` of `recordings.load`.
    step : float
        Seconds from one window to the next.
    levels : callable
        `MelSpectrogram.levels`.
    identity : str
        Changes with the training.
    threshold : float
        Lowest probability of a known song; 0 until `comparison.Networks.choose_threshold` has chosen it.

    Raises
    ------
    KitError
        If the folder holds no finished network.
    """

    def __init__(self, folder, *, device=None):
        self.folder = folder = Path(folder)
        record = read_record(folder / "songs.json")
        if record is None or not finished_members(folder):
            raise KitError(f"{folder} holds no trained song network. Run the notebook 05_identify_songs first.")
        self.names = record["made_by"]["names"]
        self.threshold = (read_json(folder / "threshold.json") or {}).get("threshold", 0.0)
        self.recipe, _ = shared_recipe(folder, [0])
        self.identity = fingerprint([member_folder(folder, 0) / "done.json"])
        self.device = device or find_devices(self.recipe.precision)[0]
        self.wanted = {"sample_rate": self.recipe.sample_rate}
        self.step = STEP * self.recipe.hop / self.recipe.sample_rate
        self.spectrogram = MelSpectrogram(self.recipe, device=self.device.name)
        self.levels = self.spectrogram.levels
        self.network = load_network(
            member_folder(folder, 0), self.recipe, classes=len(self.names), device=self.device
        )

    def probabilities(self, signal):
        """Probability of each song in each window of a recording.

        Parameters
        ----------
        signal : ndarray, shape (samples,), float32
            At the sample rate of the recipe. It is repeated if it is shorter than a window.

        Returns
        -------
        ndarray, shape (1 + (frames - WINDOW) // STEP, songs), float32

        Raises
        ------
        KitError
            If the recording is shorter than a second.
        """
        dataset = self.windows(signal)
        return torch.from_numpy(predict(self.network, dataset, self.device)).softmax(dim=1).numpy()

    @torch.inference_mode()
    def windows(self, signal):
        """The windows of a recording as the network sees them; as `probabilities`: SnippetDataset."""
        rate = self.recipe.sample_rate
        if len(signal) < _SHORTEST * rate:
            raise KitError(f"the recording lasts {len(signal) / rate:.1f} s. Record at least {_SHORTEST:g} s.")
        signal = np.resize(signal, max(len(signal), (WINDOW - 1) * self.recipe.hop))
        energy = self.spectrogram.energy(torch.tensor(signal, device=self.device.name)[None])[0]
        windows = energy.unfold(0, WINDOW, STEP).transpose(1, 2)    # (windows, frames, bands)
        return SnippetDataset(normalise(decibels(windows)).cpu(), device=self.device.name)

    def logits(self, fragments):
        """Logits of the fragments of a `NoisyFragments`: ndarray (fragments, songs), float32."""
        return predict(self.network, fragments, self.device)

    def conclude(self, probabilities):
        """`conclude` with the names and the threshold of the network."""
        return conclude(probabilities, self.names, threshold=self.threshold)

    def answer(self, signal):
        """Identify a recording, as `probabilities` takes it: Identification."""
        probabilities = self.probabilities(signal)
        title, top = self.conclude(probabilities)
        reason = f"no probability reaches {self.threshold:.3f}; the likeliest songs are"
        return Identification(title, top, "probability", partial(self._develop, probabilities), reason)

    def _develop(self, probabilities):
        over_time = []
        for count in range(_ANSWER_EVERY, len(probabilities) + 1, _ANSWER_EVERY):
            so_far, best = self.conclude(probabilities[:count])
            seconds = ((count - 1) * STEP + WINDOW) * self.recipe.hop / self.recipe.sample_rate
            over_time.append((seconds, so_far, next(iter(best.values()))))
        return over_time


def find_network(folder=None):
    """Find the folder of a network.

    Parameters
    ----------
    folder : path-like or None
        Of the network, or of a `comparison.compare_networks`, whose best network is meant; None is ``runs/identify``.

    Returns
    -------
    Path

    Raises
    ------
    KitError
        If there is none.
    """
    folder = Path(folder or runs_folder() / "identify")
    if (folder / "songs.json").exists():
        return folder
    if comparison := read_json(folder / "networks.json"):
        return folder / "networks" / comparison["best"]
    raise KitError(f"{folder} holds no trained song network. Run the notebook 05_identify_songs or set --network.")
