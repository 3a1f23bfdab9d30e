"""Methods side by side on the clips of one run: what notebook 07 evaluates, one row of its table after another."""

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from ... import audio
from ...data.competition import Competition
from ...features.extraction import Features, band_statistics
from ...prediction.evaluation import compare_runs, out_of_fold_table
from ...prediction.scores import average, collect, together
from ...recipe import Recipe
from ...songs import folds
from ...training.data import TrainingData
from ...training.members import read_histories
from ...training.weights import load_network
from ...utils.artifacts import fingerprint
from ...utils.clock import Clock
from ...utils.errors import KitError
from ...utils.hardware import Device
from .. import classical, handcrafted
from ..cache import Comparison, cached_array, cached_table, checksum
from ..methods import Evaluation, cross_validate_network, measure_cost, sorted_table, table_row
from . import inputs, waves
from .streaming import keep_stream

_SPLITS = ("train", "test")
_RATE = 22_050      # Hz, librosa's default, for everything that it computes


@dataclass(frozen=True, kw_only=True)
class Study:
    """The clips of a run, and the methods that were evaluated on them.

    Attributes
    ----------
    folder : Path
        Gets the networks and everything that takes long to compute.
    competition : Competition
    data : TrainingData
        Features, labels and folds of the run.
    recipe : Recipe
        Of the run; networks are trained with it, except for the choices that a method names.
    run : Path
        Work folder of the run.
    device : Device
    networks, kinds : list of str
        Requested names, as in `models.build`, and requested `inputs.KINDS`.
    valid_folds : int
        Every method is evaluated on the first so many folds: one of five is a fifth of the songs.
    clock : Clock
    rows : list of dict
        The table so far, see `methods.table_row`.
    results : dict of str to Result
        Predictions of every method except the ensemble. A network is found under its name, another method under name
        and features, as in 'SVM, linear on 518 numbers'.
    """

    folder: Path
    competition: Competition
    data: TrainingData
    recipe: Recipe
    run: Path
    device: Device
    networks: list = field(default_factory=list)
    kinds: list = field(default_factory=list)
    valid_folds: int = 1
    clock: Clock = field(default_factory=Clock)
    rows: list = field(default_factory=list)
    results: dict = field(default_factory=dict)

    @cached_property
    def ensemble(self):
        """Predictions of the run's members for the clips that everything is evaluated on: Result."""
        result = collect(self.run / "members", self.data)
        is_used = self.data.songs.fold[result.valid_clips] < self.valid_folds
        return replace(
            result, valid_logits=result.valid_logits[:, is_used], valid_clips=result.valid_clips[is_used],
            valid_labels=result.valid_labels[is_used], valid_songs=result.valid_songs[is_used],
        )

    @property
    def chance(self):
        """Accuracy of guessing: the share of the most frequent class among the clips that are evaluated."""
        return float(np.bincount(self.ensemble.valid_labels).max() / len(self.ensemble.valid_labels))

    @property
    def no_better_than_chance(self):
        """Names of the methods whose confidence interval includes `chance`: list of str."""
        return [row["method"] for row in self.rows if not row["low"] > self.chance]

    @property
    def table(self):
        """All rows as a DataFrame, the most accurate first."""
        return sorted_table(self.rows)

    def evaluate_numbers(self):
        """Evaluate the classical methods on the 518 numbers of the original clips."""
        self.evaluate_methods(classical.clip_methods("518 numbers"), *self._compute("numbers", handcrafted.extract))

    def evaluate_frames(self, kind):
        """Evaluate densities over the frames of one of `inputs.KINDS`, and an SVM on their means and deviations."""
        compute = partial(handcrafted.extract, compute=inputs.KINDS[kind], title=kind)
        arrays = self._compute(kind.replace(" ", "_"), compute)
        self.evaluate_methods(classical.frame_methods(kind), *arrays)
        moments = [np.concatenate([array.mean(axis=1), array.std(axis=1)], axis=1) for array in arrays]
        methods = classical.clip_methods(f"{kind}, mean and deviation")
        self.evaluate_methods([method for method in methods if method.name == "SVM, RBF"], *moments)

    def evaluate_methods(self, methods, train_inputs, test_inputs):
        """Cross-validate methods on ndarrays (clips, ...), and add their rows."""
        comparison = Comparison(self.folder / "rows", self.data, self.recipe, self.clock)
        evaluations = comparison.evaluate(methods, train_inputs, test_inputs, folds=self.valid_folds)
        for method, evaluation in zip(methods, evaluations):
            self.rows.append(table_row(method.name, method.features, evaluation, self.data))
            self.results[f"{method.name} on {method.features}"] = evaluation.result

    def train(self, model, epochs, changes=None):
        """Train and evaluate a network on the features of the run.

        Parameters
        ----------
        model : str
            As in `models.build`.
        epochs : int
        changes : dict or None
            Other choices of the recipe, which are named in the table.
        """
        changes = changes or {}
        name = ", ".join([model, *(f"{key} {value}" for key, value in changes.items())])
        recipe = self.recipe.with_values(model=model, epochs=epochs, members=self.valid_folds, **changes)
        self.evaluate_network(name, recipe, self.data)

    def train_on_samples(self, epochs):
        """Train and evaluate ``lab.wave``, which takes samples."""
        arrays = self._compute("samples", waves.load_samples, sample_rate=waves.RATE)
        samples = {
            split: Features(array, features.ids, f"samples at {waves.RATE} Hz, {features.fingerprint}")
            for split, array, features in zip(_SPLITS, arrays, (self.data.train, self.data.test))
        }
        recipe = self.recipe.with_values(
            model="lab.wave", epochs=epochs, members=self.valid_folds, standardise=False, crop=0, time_mask=0,
            band_mask=0, second_n_fft=0,
        )
        self.evaluate_network("lab.wave", recipe, replace(self.data, **samples), features=f"samples, {waves.RATE} Hz")

    def train_on_versions(self, model, epochs, count):
        """Train and evaluate a network on clips that were stretched, shifted in pitch and laid under noise.

        Raises
        ------
        KitError
            If the run separated vocals: the changed clips would be the only ones with music.
        """
        if self.recipe.separator != "none":
            raise KitError("versions are of clips with music, but this run separated the vocals. Set versions to 0.")
        paths = self._paths("train")
        source = [
            "versions", count, waves.SEMITONES, waves.STRETCH, waves.NOISE, self.recipe.part("features"),
            fingerprint(paths),
        ]
        compute = partial(waves.make_versions, paths, self.recipe, count)
        data = waves.VersionedData(**vars(self.data), versions=cached_array(self.folder, "versions", source, compute))
        recipe = self.recipe.with_values(model=model, epochs=epochs, members=self.valid_folds)
        self.evaluate_network(f"{model}, {count} changed versions", recipe, data)

    def evaluate_network(self, name, recipe, data, *, features="as the ensemble"):
        """Train the members of a recipe, one per fold, add their row, and return their folder."""
        folder = self.folder / "networks" / "".join(letter if letter.isalnum() else "_" for letter in name)
        evaluation = cross_validate_network(folder, recipe, data, device=self.device, clock=self.clock)
        self.rows.append(table_row(name, features, evaluation, self.data))
        self.results[name] = evaluation.result
        return folder

    def keep(self, name, members, compute):
        """A DataFrame that was computed from a network, as a file: computed again only after another training.

        Parameters
        ----------
        name : str
        members : path-like
            Of the network, or of the ensemble, that it was computed from.
        compute : callable
        """
        return cached_table(self.folder, name, [_training_of(members)], compute)

    def stream(self, signal, stream):
        """`streaming.run_stream` with the run's members, kept as of `keep`."""
        return keep_stream(self.folder, [_training_of(self.run / "members"), checksum(signal)], signal, stream)

    def add_ensemble(self):
        """Add the row of the run's members, averaged."""
        result = self.ensemble
        networks = [load_network(folder, self.recipe, classes=self.data.classes, device=self.device)
                    for folder in result.members]
        _, valid, _ = self.data.datasets(self.recipe, 0, self.device)
        seconds = sum(history["seconds"].sum() for history in read_histories(self.run / "members").values())
        evaluation = Evaluation(result, seconds=seconds, **measure_cost(networks, valid, self.device))
        name, predictions = f"ensemble of {len(networks)}", len(result.valid_logits)
        if predictions < len(networks):     # the other members were trained on the clip's song
            name += f" ({predictions} {'prediction' if predictions == 1 else 'predictions'} per clip)"
        self.rows.append(table_row(name, "its own", evaluation, self.data))

    def blending_gains(self):
        """What each method adds to the ensemble: see `blending_gains`."""
        return blending_gains(self.ensemble, self.results, self.data)

    def blend(self, names):
        """Average some methods with the ensemble: see `blend`.

        Parameters
        ----------
        names : sequence of str
            As in `results`.

        Raises
        ------
        KitError
            If there is no such method.
        """
        for name in names:
            if name not in self.results:
                raise KitError(f"there is no method {name!r} to blend. Choose from: {'; '.join(self.results)}.")
        return blend(self.ensemble, [self.results[name] for name in names])

    def valid_paths(self, member):
        """Paths of a member's validation set, in the order of its dataset: list of Path."""
        paths = self._paths("train")
        return [paths[row] for row in folds.split(self.data, self.recipe, member)[1]]

    def statistics(self, member):
        """Mean and deviation of the bands in a member's training set, or None: see `SnippetDataset`."""
        rows, _ = folds.split(self.data, self.recipe, member)
        return band_statistics(self.data.train.array[rows]) if self.recipe.standardise else None

    def _compute(self, name, compute, sample_rate=_RATE):
        """Arrays of the train clips and of the test clips."""
        options, arrays = {"sample_rate": sample_rate, "seconds": self.recipe.seconds}, []
        # Bad train clips are left out already; every test clip needs a prediction.
        loads = {"train": partial(audio.load, length=self.recipe.length), "test": audio.salvage}
        for split in _SPLITS:
            paths = self._paths(split)
            source = [name, *options.values(), fingerprint(paths)]
            compute_split = partial(compute, paths, load=loads[split], **options)
            arrays.append(cached_array(self.folder, f"{name}-{split}", source, compute_split))
        return arrays

    def _paths(self, split):
        if split == "test":
            return list(self.competition.test)
        return [self.competition.train[i] for i in self.data.train.ids]


def blend(result, others):
    """Average several methods with equal weights, however many members each has.

    Parameters
    ----------
    result : Result
    others : sequence of Result

    Returns
    -------
    Result
        Of the clips that all of them predicted out-of-fold.
    """
    means = [
        replace(part, valid_logits=average(part.valid_logits)[None], test_logits=average(part.test_logits)[None])
        for part in (result, *others)
    ]
    return together(means[0], means[1:])


def _training_of(members):
    """Changes when a member in this folder is trained again."""
    return fingerprint(sorted(Path(members).glob("member_*/done.json")))


def blending_gains(ensemble, others, data):
    """What each method adds to the ensemble when the two are averaged.

    Parameters
    ----------
    ensemble : Result
    others : dict of str to Result
    data : TrainingData

    Returns
    -------
    DataFrame
        A row per method, the highest gain first: ``method``, ``ensemble`` and ``blended`` (accuracies on the clips that
        both predicted out-of-fold), ``gain`` with ``low`` and ``high`` (95% confidence interval, over songs).
    """
    alone, rows = out_of_fold_table(ensemble, data), []
    for name, other in others.items():
        comparison = compare_runs(out_of_fold_table(blend(ensemble, [other]), data), alone)
        accuracy, blended, bounds = comparison["baseline"], comparison["accuracy"], comparison["interval"] or {}
        rows.append({
            "method": name, "ensemble": accuracy, "blended": blended, "gain": blended - accuracy,
            "low": bounds.get("low", np.nan), "high": bounds.get("high", np.nan),
        })
    return pd.DataFrame(rows).sort_values("gain", ascending=False, ignore_index=True)
