"""From a table of labels to trained members and their out-of-fold figures; complete stages are skipped."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ... import audio
from ...features.extraction import extract
from ...prediction.scores import average, collect
from ...recipe import Recipe
from ...songs.table import Songs
from ...training.data import TrainingData
from ...training.ensemble import train_ensemble
from ...utils.artifacts import digest, fingerprint, require_match, write_record
from ...utils.errors import KitError, listed
from ...utils.progress import say
from ...utils.storage import write_table
from ...vocals.clips import Sources, check_on_bad
from . import evaluation
from .folds import make_folds
from .table import missing_files

SECONDS = 29.0      # of a recording, as long as MagnaTagATune's


def tag_recipe(*, seconds=SECONDS, folds=5, model="cnn3", epochs=20):
    """The recipe for several labels per recording: 64 mel bands of the first seconds, one member per fold.

    Shorter recordings are padded with silence. How it is trained is the kit's own choice.
    """
    return Recipe(
        members=folds, folds=folds, split="songs", separator="none", length="any", seconds=seconds, preemphasis=0.0,
        frame_length=1024, n_fft=1024, hop=512, window="hann", n_mels=64, floor=1e-6, standardise=True, model=model,
        epochs=epochs, batch_size=16, lr=1e-3, weight_decay=1e-2, schedule="one_cycle",
    )


@dataclass(frozen=True, kw_only=True)
class TagData(TrainingData):
    """Training data whose labels are a matrix, (clips, outputs), of 0 and 1.

    Attributes
    ----------
    columns : dict
        As in `Labels`.
    """

    columns: dict

    def fingerprint(self, recipe):
        columns = [[name, *classes] for name, classes in self.columns.items()]
        labels = zlib.crc32(np.ascontiguousarray(self.labels))      # there may be millions
        return digest([self.train.fingerprint, labels, columns, self.songs.fingerprint])

    def datasets(self, recipe, member, device):
        """As `TrainingData.datasets`, with the objective that the labels need."""
        from .objectives import Heads, Tags  # imports torch

        train, valid, test = super().datasets(recipe, member, device)
        sizes = tuple(map(len, self.columns.values()))
        for dataset, smoothing in ((train, recipe.label_smoothing), (valid, 0.0)):
            dataset.labels = dataset.labels.float()
            dataset.objective = Heads(sizes, smoothing) if any(sizes) else Tags(smoothing)
        return train, valid, test


def train(folder, labels, recipe, *, on_bad="fail", clock=None, devices=None, jobs=-1):
    """Compute features, train the missing members and write the figures.

    Parameters
    ----------
    folder : path-like
        The work folder. Gets ``recordings.json``, ``features``, ``members``, ``tags.csv`` or ``columns.csv``, and
        ``out_of_fold.csv``.
    labels : Labels
    recipe : Recipe
        Of `tag_recipe`, or with the same split.
    on_bad : str
        'fail' refuses missing and damaged recordings, 'skip' leaves them out.
    clock, devices
        As in `ensemble.train_ensemble`.
    jobs : int
        Number of processes, as joblib counts them.

    Returns
    -------
    table : DataFrame or None
        As `evaluation.evaluate_tags` or `evaluation.evaluate_columns`; None if no member is finished.
    finished : int
        Number of finished members.

    Raises
    ------
    KitError
        If the recipe cannot be used for several labels, a recording is missing or damaged, or a label has no example in
        a fold, in this order and before anything is written; as `ensemble.train_ensemble`.
    """
    folder = Path(folder)
    check_on_bad(on_bad)
    _require_possible(recipe)
    data, labels = _prepare(folder, labels, recipe, on_bad, jobs)
    finished = train_ensemble(folder / "members", recipe, data, devices=devices, clock=clock)
    if not finished:
        return None, 0
    result = collect(folder / "members", data)
    logits, clips = average(result.valid_logits), result.valid_clips
    evaluated = labels.without(np.setdiff1d(np.arange(len(labels.paths)), clips))
    if labels.is_tags:
        table, name = evaluation.evaluate_tags(logits, evaluated.targets, labels.outputs), "tags.csv"
    else:
        table, name = evaluation.evaluate_columns(logits, evaluated), "columns.csv"
    write_table(folder / "out_of_fold.csv", evaluation.score_table(logits, evaluated, data.songs.fold[clips]))
    write_table(folder / name, table)
    return table, len(finished)


def _require_possible(recipe):
    if recipe.split != "songs":
        raise KitError("tags are trained with split=songs only: folds keep groups together, and each gets every tag.")
    if recipe.separator != "none" or recipe.classifiers:
        raise KitError("tags are learned from log-mel features of recordings. Leave separator and classifiers out.")
    for name in ("class_weights", "oversample", "focal"):
        if getattr(recipe, name):
            raise KitError(f"{name} is for one class per recording. Leave it out.")


def _prepare(folder, labels, recipe, on_bad, jobs):
    """The training data, and the labels of the recordings in it."""
    folds = {"folds": recipe.folds, "seed": recipe.split_seed}
    missing = missing_files(labels)
    if missing and on_bad == "fail":
        _refuse(labels, missing)
    kept = labels.without(list(missing))
    make_folds(kept, **folds)       # refuses before every recording is decoded
    faults = _check(folder / "recordings.json", kept, recipe, on_bad, jobs)
    if missing or faults:
        names = [*(labels.names[i] for i in missing), *(kept.names[i] for i in faults)]
        say(f"{len(names)} of {len(labels.paths)} recordings are missing or damaged and left out: {listed(names)}")
    labels = kept.without(list(faults))
    fold = make_folds(labels, **folds)
    clips = dict(enumerate(labels.paths))
    sources = Sources(clips, clips, {}, {}, digest([fingerprint(labels.paths), labels.names.tolist()]))
    features = extract(sources, folder / "features" / "train.npy", recipe, jobs=jobs)
    return _as_training_data(features, labels, fold), labels


def _check(path, labels, recipe, on_bad, jobs):
    """Damaged recordings as of an earlier check, or of one that decodes them all: dict of row to message."""
    made_by = {"seconds": recipe.seconds, "length": recipe.length, "recordings": fingerprint(labels.paths)}
    record = require_match(path, made_by, artifact=path.parent)
    if record:
        faults = {int(i): fault for i, fault in record["faults"].items()}
    else:
        found, _ = audio.find_faults(labels.paths, seconds=recipe.seconds, length=recipe.length, jobs=jobs)
        faults = {i: found[file] for i, file in enumerate(labels.paths) if file in found}
    if faults and on_bad == "fail":
        _refuse(labels, faults)
    if not record:
        write_record(path, made_by, faults=faults)
    return faults


def _refuse(labels, faults):
    first = next(iter(faults))
    raise KitError(
        f"{labels.table}, line {labels.lines[first]}: {faults[first].rstrip('.')}. {len(faults)} of "
        f"{len(labels.paths)} recordings are missing or damaged. Repair them, name their folder (--recordings), or "
        "leave them out: --on-bad skip."
    )


def _as_training_data(features, labels, fold):
    clips = len(labels.paths)
    table = pd.DataFrame({
        "split": "train", "id": np.arange(clips), "song": labels.groups, "group": labels.groups, "follows": -1,
        "level": 0.0, "content": "",
    })
    test = type(features)(features.array[:0], features.ids[:0], "")
    return TagData(
        train=features, labels=labels.targets, test=test, class_names=tuple(labels.outputs),
        songs=Songs(table, fold, is_inferred=False), columns=labels.columns,
    )
