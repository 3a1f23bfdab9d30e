"""From a folder of clips to what a pretrained network says of each: block by block, resumable."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from ... import audio
from ...utils.artifacts import claim, digest, rows_done, write_rows
from ...utils.errors import KitError
from ...utils.lock import exclusive_task
from ...utils.progress import progress
from ...utils.releases import find
from ..extraction import blocks_of
from . import musicnn, note_posteriors, voice_encoder

NETWORKS = {"musicnn": musicnn, "voice": voice_encoder, "notes": note_posteriors}
SOUNDS = ("mixture", "vocals")


@dataclass(frozen=True)
class View:
    """What one network says of one sound of each clip, such as ``musicnn_vocals``.

    Raises
    ------
    KitError
        If there is no such network or sound.
    """

    network: str
    sound: str

    @classmethod
    def named(cls, name):
        """The view with a name such as ``musicnn_vocals``."""
        network, _, sound = name.partition("_")
        if network not in NETWORKS or sound not in SOUNDS:
            kinds = ", ".join(f"{network}_{sound}" for network in NETWORKS for sound in SOUNDS)
            raise KitError(f"there is no view {name!r}. Choose one of {kinds}.")
        return cls(network, sound)

    @property
    def name(self):
        return f"{self.network}_{self.sound}"

    @property
    def release(self):
        return NETWORKS[self.network].RELEASE


def extract(sources, folder, split, view, recipe, *, jobs=-1):
    """Compute a view of all clips of a split, continue an earlier run, or return it if it is complete.

    Parameters
    ----------
    sources : Sources
    folder : path-like
        ``features/pretrained`` in the work folder.
    split : str
        'train' or 'test'; the array becomes ``<view>_<split>.npy``, its record the ``.json`` beside it.
    view : View
    recipe : Recipe
    jobs : int
        Threads that decode, as joblib counts them.

    Returns
    -------
    ndarray, shape (clips, numbers), float32
        In the order of ``sources.paths``. Memory-mapped, read-only.

    Raises
    ------
    KitError
        If the array was made from other clips or vocals, the network's weights cannot be had, or a clip has become
        unreadable.
    """
    path = Path(folder) / f"{view.name}_{split}.npy"
    made_by = _made_by(sources, view, recipe)
    claim(path.with_suffix(".json"), made_by, artifact=path, exists=path.exists(), ids=list(sources.paths))
    if not path.exists():
        with exclusive_task(path.parent, f"computing {view.name}"):
            if not path.exists():   # the process that held the lock may have computed it
                _compute(sources, path, made_by, view, recipe, jobs)
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise KitError(f"{path} cannot be read ({error}). Delete it and run 02_features again.") from error


def _made_by(sources, view, recipe):
    made_by = {
        "network": digest(view.release.files), "clips": sources.fingerprint, "seconds": recipe.seconds,
        "length": recipe.length,
    }
    if view.sound == "vocals":
        made_by |= {"weights": sources.weights, "fast_separation": recipe.fast_separation}
    return made_by


def _compute(sources, path, made_by, view, recipe, jobs):
    from ...utils.hardware import find_devices

    embedder = NETWORKS[view.network].Embedder(find(view.release), find_devices(recipe.precision)[0])
    ids, done = list(sources.paths), rows_done(path, made_by)
    files = sources.paths if view.sound == "vocals" else sources.clips
    with (
        Parallel(jobs, prefer="threads") as parallel,
        progress(total=len(ids), done=done, title=f"{path.stem.replace('_', ' ')}", unit="clip") as bar,
    ):
        signals = (
            np.stack(parallel(delayed(_signal)(files[i], i in sources.faults, embedder.rate, recipe) for i in block))
            for block in blocks_of(ids[done:])
        )
        write_rows(path, made_by, (len(ids), embedder.size), map(embedder.pooled, signals), bar)


def _signal(clip, is_bad, rate, recipe):
    size = {"sample_rate": rate, "seconds": recipe.seconds}
    signal = audio.salvage(clip, **size) if is_bad else audio.load(clip, **size, length=recipe.length)
    return signal.astype(np.float32)
