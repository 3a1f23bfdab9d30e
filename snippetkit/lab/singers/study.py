"""Methods side by side on the clips of one run: what notebook 07 asks for, a line of the table at a time."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ...data.competition import Competition
from ...features.extraction import Features, band_statistics
from ...prediction.scores import collect
from ...recipe import Recipe
from ...songs import folds
from ...training.checkpoint import load_network
from ...training.data import TrainingData
from ...training.members import read_histories
from ...utils.artifacts import fingerprint
from ...utils.clock import Clock
from ...utils.errors import KitError
from ...utils.hardware import Device
from .. import classical, handcrafted
from ..board import Board
from ..kept import kept
from ..methods import Judged, cost, judge_network, row, sorted_table
from . import inputs, waves
from .joined import joined, worth

_SPLITS = ("train", "test")
_INPUT_RATE = 22_050    # Hz, librosa's own, for all that is computed by it


@dataclass(frozen=True, kw_only=True)
class Study:
    """The clips of a run, and the methods that were judged on them.

    Attributes
    ----------
    folder : Path
        Gets the networks and whatever takes long to compute.
    competition : Competition
    data : TrainingData
        The run's own: its features, labels and folds.
    recipe : Recipe
        The run's own; networks are trained by it but for what is said otherwise.
    run : Path
        Its work folder.
    device : Device
    networks, kinds : list of str
        What is asked for: names as in `models.build`, and some of `inputs.KINDS`.
    judged : int
        Folds in which every method is fitted and judged, from the first on: of five, 1 is a fifth of the songs.
    clock : Clock
    rows : list of dict
        Lines of the table, so far.
    answers : dict of str to Result
        What each of them said, but for the ensemble itself; networks by their name, others by name and features, as in
        'SVM, linear on 518 numbers'.
    """

    folder: Path
    competition: Competition
    data: TrainingData
    recipe: Recipe
    run: Path
    device: Device
    networks: list = field(default_factory=list)
    kinds: list = field(default_factory=list)
    judged: int = 1
    clock: Clock = field(default_factory=Clock)
    rows: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)

    @cached_property
    def ensemble(self):
        """What the members of the run say of the clips that everything is judged on: `results.Result`."""
        result = collect(self.run / "members", self.data)
        asked = self.data.songs.fold[result.valid_clips] < self.judged
        return replace(
            result, valid_logits=result.valid_logits[:, asked], valid_clips=result.valid_clips[asked],
            valid_labels=result.valid_labels[asked], valid_songs=result.valid_songs[asked],
        )

    @property
    def chance(self):
        """What guessing would get: the share of the commonest class among the clips that are judged."""
        return float(np.bincount(self.ensemble.valid_labels).max() / len(self.ensemble.valid_labels))

    @property
    def unlearned(self):
        """Names of what is no better than guessing, as far as its interval tells: list of str."""
        return [line["method"] for line in self.rows if not line["low"] > self.chance]

    @property
    def table(self):
        """DataFrame, the most accurate first; see `methods.row`."""
        return sorted_table(self.rows)

    def on_numbers(self):
        """Judge the textbooks' methods on the 518 numbers of the clips as they are, vocals or not."""
        found = [self._kept("numbers", split, handcrafted.of_clips) for split in _SPLITS]
        self.judge_methods(classical.on_clips("518 numbers"), *found)

    def on_frames(self, kind):
        """Judge densities over frames, and an SVM on means and deviations over time, of one of `inputs.KINDS`."""
        def frames(paths, **options):
            return inputs.of_clips(kind, paths, **options)

        found = [self._kept(kind.replace(" ", "_"), split, frames) for split in _SPLITS]
        self.judge_methods(classical.on_frames(kind), *found)
        moments = [np.concatenate([each.mean(axis=1), each.std(axis=1)], axis=1) for each in found]
        svm = next(method for method in classical.on_clips(f"{kind}, mean and deviation") if "RBF" in method.name)
        self.judge_methods([svm], *moments)

    def train(self, name, epochs, **changes):
        """Train a network on the features of the run, and judge it.

        Parameters
        ----------
        name : str
            As in `models.build`.
        epochs : int
        **changes
            Other choices of the recipe, which are named in the table.
        """
        recipe = self.recipe.with_values(model=name, epochs=epochs, members=self.judged, **changes)
        what = ", ".join([name, *(f"{key} {value}" for key, value in changes.items())])
        self.judge(what, "as the ensemble", recipe, self.data)

    def train_on_samples(self, epochs):
        """Train the network that takes samples as they are, and judge it."""
        train, test = (self._kept("samples", split, waves.of_clips, sample_rate=waves.RATE) for split in _SPLITS)
        mark = f"samples at {waves.RATE} Hz, "
        data = replace(
            self.data,
            train=Features(train, self.data.train.ids, mark + self.data.train.fingerprint),
            test=Features(test, self.data.test.ids, mark + self.data.test.fingerprint),
        )
        recipe = self.recipe.with_values(
            model="lab.wave", epochs=epochs, members=self.judged, standardise=False, crop=0, time_mask=0, band_mask=0,
            second_n_fft=0,
        )
        self.judge("lab.wave", f"samples, {waves.RATE} Hz", recipe, data)

    def train_on_versions(self, name, epochs, count):
        """Train a network on clips that were stretched, shifted and laid under noise, and judge it.

        Raises
        ------
        KitError
            If the run's features are of separated vocals: the changed clips would be the only mixtures.
        """
        if self.recipe.separator != "none":
            raise KitError("versions are of the clips as they are, and this run separated vocals: set versions to 0.")
        what = ["versions", count, waves.SEMITONES, waves.STRETCH, waves.NOISE, self.recipe.part("features")]
        paths = self._paths("train")
        versions = kept(
            self.folder / "versions.npy", [*what, fingerprint(paths)],
            lambda: waves.versions(paths, self.recipe, count),
        )
        recipe = self.recipe.with_values(model=name, epochs=epochs, members=self.judged)
        self.judge(f"{name}, {count} changed versions", "as the ensemble", recipe,
                   waves.Varied(data=self.data, versions=versions))

    def held_out_clips(self, member):
        """Paths of the clips that a member held out, in the order of its data set: list of Path."""
        paths = self._paths("train")
        return [paths[row] for row in folds.split(self.data, self.recipe, member)[1]]

    def statistics(self, member):
        """What a member's features are standardised with, or None: see `SnippetDataset`."""
        rows, _ = folds.split(self.data, self.recipe, member)
        return band_statistics(self.data.train.array[rows]) if self.recipe.standardise else None

    def add_ensemble(self):
        """Add the line of the run's own members, all together."""
        result = self.ensemble
        networks = [
            load_network(folder / "last.pt", self.recipe, classes=self.data.classes, device=self.device)
            for folder in result.members
        ]
        _, held_out, _ = self.data.datasets(self.recipe, 0, self.device)
        parameters, milliseconds = cost(networks, held_out, self.device)
        seconds = sum(history["seconds"].sum() for history in read_histories(self.run / "members").values())
        judged = Judged(result, parameters, seconds, milliseconds)
        name, answers = f"the ensemble of {len(networks)}", len(result.valid_logits)
        if answers < len(networks):     # the others have heard the songs
            name += f", {answers} a clip"
        self.rows.append(row(name, "its own", judged, self.data))

    def judge(self, name, features, recipe, data):
        """Train a network by a recipe on data, or what stands in for them, and add its line; gives its folder."""
        folder = self.folder / "networks" / "".join(each if each.isalnum() else "_" for each in name)
        judged = judge_network(folder, recipe, data, device=self.device, clock=self.clock)
        self.rows.append(row(name, features, judged, data))
        self.answers[name] = judged.result
        return folder

    def judge_methods(self, methods, inputs, test_inputs):
        """Fit and judge methods on what was computed of the clips, ndarray (clips, ...), and add their lines."""
        board = Board(self.folder / "rows", self.data, self.recipe)
        for method, judged in zip(methods, board.judge(methods, inputs, test_inputs, members=self.judged)):
            self.rows.append(row(method.name, method.features, judged, self.data))
            self.answers[f"{method.name} on {method.features}"] = judged.result

    def worth_joining(self):
        """What each method adds to the ensemble: see `joined.worth`."""
        return worth(self.ensemble, self.answers, self.data)

    def joined(self, names):
        """What the ensemble and some of the methods say together.

        Parameters
        ----------
        names : sequence of str
            As in `answers`.

        Returns
        -------
        Result
            Of which each method, and the ensemble, is one part.

        Raises
        ------
        KitError
            If nothing was judged under such a name.
        """
        for name in names:
            if name not in self.answers:
                those = "; ".join(self.answers)
                raise KitError(f"there is no method {name!r} that could join the ensemble; there are: {those}.")
        return joined(self.ensemble, [self.answers[name] for name in names])

    def _kept(self, name, split, compute, **options):
        """What is computed of the clips of a split: ndarray."""
        options = {"sample_rate": _INPUT_RATE, "seconds": self.recipe.seconds, **options}
        paths = self._paths(split)
        identity = [name, options["sample_rate"], options["seconds"], fingerprint(paths)]
        return kept(self.folder / f"{name}_{split}.npy", identity, lambda: compute(paths, **options))

    def _paths(self, split):
        if split == "test":
            return list(self.competition.test)
        return [self.competition.train[i] for i in self.data.train.ids]
