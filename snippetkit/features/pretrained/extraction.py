"""From a folder of clips to what a pretrained network says of each: block by block, resumable."""

from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from ...recipe import OVER_TIME
from ...utils.artifacts import claim, digest, open_rows, rows_done
from ...utils.errors import KitError
from ...utils.lock import exclusive_task
from ...utils.progress import progress
from ...utils.releases import Release, find
from ..extraction import COMPUTED, blocks_of, is_made, load
from . import releases
from .variants import DUETS, SPEED_NAMES, change_speed


class Network(NamedTuple):
    """A network of the table: its module with the class Embedder, its weights, and how much it gives for a clip."""

    module: str     # imports torch, so it waits
    release: Release
    numbers: int    # of a whole clip
    channels: int   # of a frame


NETWORKS = {
    "musicnn": Network(f"{__package__}.musicnn", releases.MUSICNN, 3012, 1506),
    "voice": Network(f"{__package__}.voice_encoder", releases.VOICE_ENCODER, 512, 256),
    "notes": Network(f"{__package__}.note_posteriors", releases.BASIC_PITCH, 628, 440),
}
FRAMES = 48     # of a view over time, whatever the frames of the network: 62 ms of a clip of three seconds
SOUNDS = ("mixture", "vocals")
_SPLITS = ("train", "test")


@dataclass(frozen=True)
class View:
    """What one network says of one sound of each clip, such as ``musicnn_vocals`` or ``musicnn_vocals_frames``.

    Attributes
    ----------
    network, sound : str
    over_time : bool
        Whether it keeps time; otherwise it has statistics over the whole clip.

    Raises
    ------
    KitError
        If there is no such network or sound.
    """

    network: str
    sound: str
    over_time: bool = False

    @classmethod
    def named(cls, name):
        """The view with a name such as ``musicnn_vocals``."""
        network, _, sound = name.removesuffix(OVER_TIME).partition("_")
        if network not in NETWORKS or sound not in SOUNDS:
            kinds = ", ".join(f"{network}_{sound}" for network in NETWORKS for sound in SOUNDS)
            raise KitError(f"there is no view {name!r}. Choose one of {kinds}; {OVER_TIME} at the end keeps time.")
        return cls(network, sound, name.endswith(OVER_TIME))

    @property
    def name(self):
        return f"{self.network}_{self.sound}{OVER_TIME if self.over_time else ''}"

    @property
    def release(self):
        return NETWORKS[self.network].release

    @property
    def shape(self):
        """Of a clip: (numbers,), or over time (frames, channels)."""
        network = NETWORKS[self.network]
        return (FRAMES, network.channels) if self.over_time else (network.numbers,)

    @property
    def dtype(self):
        """Half precision over time: the three views of a clip have 100,000 numbers."""
        return "<f2" if self.over_time else "<f4"

    def pool(self, embedder, encoded):
        """The view of what its network's embedder encoded: ndarray (clips, *shape), of its dtype."""
        values = embedder.frames(encoded, count=FRAMES) if self.over_time else embedder.pooled(encoded)
        largest = np.finfo(self.dtype).max
        return values.clip(-largest, largest).astype(self.dtype)


def extract_views(splits, folder, names, recipe, *, duets=None, jobs=-1):
    """Compute views of all clips, continue an earlier run, or return them if they are complete.

    Parameters
    ----------
    splits : tuple of two Sources
        Of the train and of the test clips.
    folder : path-like
        ``features/pretrained`` in the work folder; gets ``<view>_train.npy`` and ``<view>_test.npy``, each with its
        record.
    names : list of str
        Of views.
    recipe : Recipe
    duets : Duets or None
    jobs : int
        Threads that decode, as joblib counts them.

    Returns
    -------
    dict
        Name of each view to a dict of 'train', 'test', and 'duets' if there are any, to Features; their arrays have
        shape (clips, *view.shape). With ``semitones``, there are also 'train_faster', 'train_slower' and so on.

    Raises
    ------
    KitError
        If an array was made from other clips or vocals, a network's weights cannot be had, or a clip has become
        unreadable.
    """
    sounds, together = dict(zip(_SPLITS, splits)), {}
    sounds |= {DUETS: duets} if duets is not None and len(duets.rows) else {}
    for view in map(View.named, names):     # with and without time: the network is run once for both
        together.setdefault((view.network, view.sound), []).append(view)
    found = {name: {} for name in names}
    for views in together.values():
        for split, sound in sounds.items():
            for speed, semitones in zip(SPEED_NAMES, recipe.speeds):
                arrays = extract(sound, folder, split + speed, views, recipe, semitones, jobs=jobs)
                for view, features in zip(views, arrays):
                    found[view.name][split + speed] = features
    return found


def require_networks(folder, names):
    """Open the network of each view that is not complete, so that missing weights are an error now; as `extract`."""
    networks = {view.network for view in map(View.named, names)
                if not all(_path(folder, view, split).exists() for split in _SPLITS)}
    for network in networks:
        try:
            open_network(network, _first_device("auto"))
        except KitError as error:
            raise KitError(f"{error} Or go without pretrained features: --set classifiers=") from error


def are_complete(splits, folder, names, recipe, *, duets):
    """Whether all these views exist, also those of `duets` clips, so that neither clips nor vocals are needed."""
    views, speeds = list(map(View.named, names)), list(zip(SPEED_NAMES, recipe.speeds))
    return all(
        is_made(_path(folder, view, split + speed), _made_by(sources, view, recipe, semitones))
        for view in views for split, sources in zip(_SPLITS, splits) for speed, semitones in speeds
    ) and all(      # which duets is only known when the songs are
        _path(folder, view, DUETS + speed).exists() for view in views for speed, _ in speeds if duets
    )


def extract(sounds, folder, split, views, recipe, semitones=0.0, *, jobs=-1):
    """Views of one split at one speed, as in `extract_views`.

    Parameters
    ----------
    sounds : Sources or Duets
    folder : path-like
    split : str
        Such as 'train' or 'train_faster'.
    views : list of View
        Of one network and one sound.
    recipe : Recipe
    semitones : float
    jobs : int

    Returns
    -------
    list of Features
    """
    paths = [_path(folder, view, split) for view in views]
    made_by = [_made_by(sounds, view, recipe, semitones) for view in views]
    for path, made, view in zip(paths, made_by, views):
        about = {"shape": [len(sounds.ids), *view.shape], "ids": sounds.ids, "source": COMPUTED}
        delete = f"{path.parent} and the classifiers beside {path.parent.parent}"
        claim(path.with_suffix(".json"), made, artifact=path, exists=path.exists(), delete=delete, **about)
    if not all(path.exists() for path in paths):
        with exclusive_task(paths[0].parent, f"computing {' and '.join(view.name for view in views)}"):
            # the process that held the lock may have computed some
            missing = [what for what in zip(views, paths, made_by) if not what[1].exists()]
            if missing:
                _compute(sounds, missing, recipe, semitones, jobs)
    return list(map(load, paths))


def _path(folder, view, split):
    return Path(folder) / f"{view.name}_{split}.npy"


def hear(sources, clip, names, recipe):
    """What the networks of some views hear in a clip, for a person to look at.

    Parameters
    ----------
    sources : Sources
    clip : int
        Its id.
    names : list of str
        Of views.
    recipe : Recipe

    Returns
    -------
    dict
        Name of each view of ``musicnn`` to a dict of tag to probability, both taggers together, and of each view of
        ``notes`` to an ndarray, shape (frames, pitches), of probabilities. The voice encoder gives nothing to look at.
    """
    views = dict.fromkeys(View(view.network, view.sound) for view in map(View.named, names) if view.network != "voice")
    device = _first_device(recipe.precision)
    embedders = {network: open_network(network, device) for network in {view.network for view in views}}
    heard = {}
    for view in views:
        embedder = embedders[view.network]
        signal = sources.load(clip, view.sound, recipe, embedder.rate)
        heard[view.name] = embedder.show(signal[np.newaxis])
    return heard


def _made_by(sounds, view, recipe, semitones):
    made_by = {
        "network": digest(view.release.files), "clips": sounds.fingerprint, "seconds": recipe.seconds,
        "length": recipe.length, "precision": recipe.precision,
    }
    if view.over_time:
        made_by |= {"frames": FRAMES}
    if semitones:
        made_by |= {"semitones": semitones}
    if view.sound == "vocals":
        made_by |= {"weights": sounds.weights, "fast_separation": recipe.fast_separation}
    return made_by


def _compute(sounds, missing, recipe, semitones, jobs):
    """Compute views together, from `missing`: each view, its path and record. Each continues where a run left it."""
    view, path, _ = missing[0]
    embedder = open_network(view.network, _first_device(recipe.precision))
    ids, done = sounds.ids, [rows_done(path, made_by) for _, path, made_by in missing]
    row = min(done)
    with (
        Parallel(jobs, prefer="threads") as parallel,
        progress(total=len(ids), done=row, title=path.stem.replace("_", " "), unit="clip") as bar,
        ExitStack() as stack,
    ):
        appends = [
            stack.enter_context(open_rows(path, made_by, (len(ids), *view.shape), dtype=view.dtype))
            for view, path, made_by in missing
        ]
        for block in blocks_of(ids[row:]):
            samples = np.stack(parallel(delayed(sounds.load)(i, view.sound, recipe, embedder.rate) for i in block))
            encoded = embedder.encode(change_speed(samples, semitones))
            for (each, *_), append, rows in zip(missing, appends, done):
                if row + len(block) > rows:     # the others are on disk
                    append(each.pool(embedder, encoded)[max(0, rows - row) :])
            row += len(block)
            bar.update(len(block))


def open_network(network, device):
    """Open a network of the table.

    Parameters
    ----------
    network : str
        A key of `NETWORKS`.
    device : Device

    Returns
    -------
    Embedder
        Of the network's module.

    Raises
    ------
    KitError
        If its weights cannot be had or are damaged.
    """
    known = NETWORKS[network]
    return import_module(known.module).Embedder(find(known.release), device)


def _first_device(precision):
    from ...utils.hardware import find_devices

    return find_devices(precision)[0]
