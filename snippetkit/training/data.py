"""The data that members train on, and the stages that make it."""

from dataclasses import dataclass, field

import numpy as np

from ..features.extraction import Features, band_statistics, extract, is_complete
from ..features.pretrained import extraction as pretrained
from ..features.pretrained.variants import DUET_CLASS, DUETS, SPEED_NAMES, Duets, wanted_duets
from ..songs import folds
from ..songs.table import Songs, check_own_songs, find_songs
from ..utils.artifacts import digest
from ..utils.errors import KitError
from ..vocals.clips import check_clips
from ..vocals.separation import separate


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Features of all splits, labels of the train clips, and their songs.

    Attributes
    ----------
    train, test : Features
    labels : ndarray, shape (rows of train,), int64
    class_names : tuple of str
    songs : Songs or None
        Needed for ``split=songs``, and to collect results.
    views : dict
        Name of each view of pretrained features to a dict of splits to Features, as `pretrained.extract_views` returns
        it.
    duets : ndarray, shape (duets, 2), int
        Rows of the train clips that the rows of the split 'duets' are sums of.
    """

    train: Features
    labels: np.ndarray
    test: Features
    class_names: tuple
    songs: Songs | None = None
    views: dict = field(default_factory=dict)
    duets: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))

    @property
    def classes(self):
        """Number of classes."""
        return len(self.class_names)

    def fingerprint(self, recipe):
        """Changes with any clip, label or choice behind the features; with ``split=songs`` also with the songs."""
        features = [self.train, self.test]
        if recipe.views:
            features = [split for name in recipe.views.split("+") for split in self.views[name].values()]
        content = [*(split.fingerprint for split in features), self.labels.tolist(), self.classes]
        return digest(content if recipe.split == "random" else [*content, self.songs and self.songs.fingerprint])

    def views_of(self, recipe, split, rows):
        """The views of a kind side by side, speed after speed, of some clips of a split.

        Returns
        -------
        SideBySide, shape (clips, speeds * numbers), or over time (clips, frames, speeds * channels)
        """
        names, speeds = recipe.views.split("+"), SPEED_NAMES[: recipe.channels]
        return SideBySide([([self.views[name][split + speed].array for speed in speeds for name in names], rows)])

    def view_training_set(self, recipe, rows):
        """`views_of` some train clips, then of the duets of these clips, and the labels of both."""
        features, labels = self.views_of(recipe, "train", rows), self.labels[rows]
        if recipe.duets and len(duets := np.flatnonzero(np.isin(self.duets, rows).all(axis=1))):
            features = features.above(self.views_of(recipe, DUETS, duets))
            labels = np.concatenate([labels, np.full(len(duets), DUET_CLASS)])
        return features, labels

    def datasets(self, recipe, member, device):
        """Training set, validation set and test set of a member, on the device.

        Parameters
        ----------
        recipe : Recipe
        member : int
        device : Device

        Returns
        -------
        tuple of three SnippetDataset
            The third without labels.

        Raises
        ------
        KitError
            As `folds.split`, or if the recipe's crop is longer than the clips.
        """
        from ..dataset import SnippetDataset  # imports torch

        if recipe.views:
            return self._view_datasets(recipe, member, device)
        frames = self.train.array.shape[1]
        if recipe.crop > frames:
            advice = "Choose a shorter crop, or --set crop=0 to train on whole clips."
            raise KitError(f"crop={recipe.crop} is longer than the clips, which have {frames} frames. {advice}")
        sides = folds.split(self, recipe, member)
        options = {"device": device.name, "channels": recipe.channels, "statistics": None}
        datasets = []
        for rows in sides:
            array = self.train.array[rows]      # a copy, which may have a gigabyte
            if recipe.standardise and not datasets:
                options["statistics"] = band_statistics(array)
            datasets.append(SnippetDataset(array, self.labels[rows], **options))
        return *datasets, SnippetDataset(self.test.array, **options)

    def _view_datasets(self, recipe, member, device):
        from ..dataset import StoredDataset

        train, valid = folds.split(self, recipe, member)
        sets = [self.view_training_set(recipe, train), (self.views_of(recipe, "train", valid), self.labels[valid])]
        sets.append((self.views_of(recipe, "test", np.arange(len(self.test.ids))), None))
        options = {"device": device.name, "channels": recipe.channels}
        if recipe.is_network:
            options["statistics"] = band_statistics(sets[0][0])
        return tuple(StoredDataset(features, labels, **options) for features, labels in sets)


class SideBySide:
    """Rows of arrays side by side, and of others below them, as one array that is read in parts.

    Views over time have a megabyte per clip at three speeds, and the competition has 14,333 clips.

    Parameters
    ----------
    parts : list of tuple
        Arrays, shape (rows, numbers) or (rows, frames, channels), which may be memory-mapped; and which of their rows.

    Examples
    --------
    >>> both = SideBySide([([np.zeros((5, 2)), np.ones((5, 1))], [4, 0])]).above(SideBySide([([np.ones((1, 3))], [0])]))
    >>> len(both), both[[2, 0]].tolist()
    (3, [[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    """

    def __init__(self, parts):
        self._parts = [(arrays, np.asarray(rows)) for arrays, rows in parts]
        self._ends = np.cumsum([len(rows) for _, rows in self._parts])

    def above(self, other):
        """This one, and another one below it."""
        return SideBySide(self._parts + other._parts)

    def __len__(self):
        return int(self._ends[-1])

    def __getitem__(self, rows):
        rows = np.arange(len(self))[rows]
        parts = np.searchsorted(self._ends, rows, side="right")
        first = self._read(0, rows[parts == 0])
        found = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for part in range(len(self._parts)):
            found[parts == part] = first if part == 0 else self._read(part, rows[parts == part])
        return found

    def _read(self, part, rows):
        arrays, theirs = self._parts[part]
        own = theirs[rows - (self._ends[part - 1] if part else 0)]
        return np.concatenate([array[own] for array in arrays], axis=-1)


def prepare(competition, workspace, recipe, *, on_bad="fail", songs="", cluster=""):
    """Run the stages before training, or skip those that are complete; complete features need no vocals.

    Parameters
    ----------
    competition : Competition
    workspace : Workspace
    recipe : Recipe
    on_bad : str
        As in `clips.check_clips`.
    songs : path-like
        A CSV of your own songs, as in `table.find_songs`.
    cluster : str
        As in `extraction.extract`.

    Returns
    -------
    TrainingData

    Raises
    ------
    KitError
        As `separation.separate`, `extraction.extract` and `table.find_songs`.
    """
    check_own_songs(songs, competition, on_bad=on_bad)
    splits = check_clips(competition, workspace.vocals, recipe, on_bad=on_bad)
    paths = [workspace.features / "train.npy", workspace.features / "test.npy"]
    names = recipe.views_of_classifiers()
    is_ready = all(is_complete(split, path, recipe) for split, path in zip(splits, paths))
    wanted = wanted_duets(recipe, competition.labels[list(splits[0].ids)], competition.classes)
    of_vocals = [name for name in names if wanted or pretrained.View.named(name).sound == "vocals"]
    if not (is_ready and pretrained.are_complete(splits, workspace.views, of_vocals, recipe, duets=wanted)):
        splits = separate(competition, workspace.vocals, recipe, on_bad=on_bad, checked=splits)
    train, test = (extract(split, path, recipe, cluster=cluster) for split, path in zip(splits, paths))
    labels = competition.labels[train.ids]
    songs = find_songs(*splits, labels, workspace.songs, recipe, own=songs)
    duets = Duets.draw(splits[0], labels, songs, recipe, competition.classes)
    return TrainingData(
        train=train, labels=labels, test=test, class_names=competition.classes, songs=songs, duets=duets.rows,
        views=pretrained.extract_views(splits, workspace.views, names, recipe, duets=duets),
    )
