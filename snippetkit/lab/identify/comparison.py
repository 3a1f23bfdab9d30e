"""Several networks for the same songs, trained and evaluated side by side."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...training.members import member_folder
from ...utils.clock import Clock
from ...utils.errors import KitError, listed
from ...utils.lock import exclusive_task
from ...utils.progress import say
from ...utils.storage import read_json, write_json
from . import evaluation
from . import recogniser as identify
from .collection import Collection
from .recogniser import Recogniser

_LEAST_AUC = 0.7    # area under the ROC curve (chance: 0.5) from which "unknown song" is meaningful


@dataclass(frozen=True)
class Networks:
    """Networks trained on the same songs.

    Attributes
    ----------
    collection : Collection
    folders : dict
        Name of the model to the folder of its network.
    table : DataFrame
        One row per model and test: see `compare_networks`.
    best : Path
        The folder of the network with the highest validation accuracy; no test uses the validation fragments.
    device : Device
    """

    collection: Collection
    folders: dict
    table: pd.DataFrame
    best: Path
    device: object

    def against_noise(self, count):
        """`evaluation.against_noise` for each of them: dict of DataFrame."""
        sounds, mix = self.collection.test_sounds(self.device), self.collection.data.mix
        return {
            name: evaluation.against_noise(
                Recogniser(folder, device=self.device).network, sounds, count, mix, self.device
            )
            for name, folder in self.folders.items()
        }

    def choose_threshold(self, count):
        """Choose the threshold of "unknown" for the best network on half of the recordings; evaluate it on the others.

        Parameters
        ----------
        count : int
            Recordings of each song, in each half. No unknown song is in both halves.

        Returns
        -------
        dict
            As `evaluation.rates`, with the highest probabilities of the second half as ``known`` and
            ``unknown``.

        Raises
        ------
        KitError
            If fewer than two songs are kept back as unknown.
        """
        unknown = self.collection.unknown
        if len(unknown) < 2:
            raise KitError("a threshold needs two songs that are kept back. Set unknown to 2 or more.")
        recogniser = Recogniser(self.best, device=self.device)
        halves = []
        for seed, kept in enumerate((unknown[::2], unknown[1::2])):
            part = replace(self.collection, unknown=kept)
            halves.append([
                np.array([recogniser.probabilities(signal).mean(axis=0).max()
                          for signal in evaluation.recordings(sounds, part, count, seed=seed)])
                for sounds in (part.test_sounds(self.device), part.unknown_sounds(self.device))
            ])
        threshold = evaluation.choose_threshold(*halves[0])
        write_json(self.best / "threshold.json", {"threshold": threshold})
        known, others = halves[1]
        rates = evaluation.rates(known, others, threshold)
        if rates["auc"] < _LEAST_AUC:
            say("this network cannot recognise unknown songs: do not rely on \"unknown song\". "
                "Longer training or more songs kept back may help")
        return {**rates, "known": known, "unknown": others}


def chosen(names, epochs):
    """Models and their epochs, from two parameters of a notebook.

    Parameters
    ----------
    names, epochs : str
        Separated by spaces.

    Returns
    -------
    dict
        Name to epochs.

    Raises
    ------
    KitError
        If there is no such model, or not a number of epochs for each.
    """
    names, epochs = names.split(), str(epochs).split()      # papermill turns a single number into an int
    if not names or len(names) != len(epochs) or not all(text.isdigit() and int(text) for text in epochs):
        raise KitError(f"models {' '.join(names)!r} and epochs {' '.join(epochs)!r} must have the same length.")
    for name in names:
        identify.recipe(name)   # raises if there is no such model
    return dict(zip(names, map(int, epochs)))


def compare_networks(folder, collection, wanted, *, count, device, clock=None):
    """Train a network of each model, unless it is trained, and evaluate all with the same tests.

    Parameters
    ----------
    folder : path-like
        Gets a folder per model below ``networks``, and ``networks.json`` with the table and the best model.
    collection : Collection
    wanted : dict
        As `chosen` returns it.
    count : int
        As in `evaluation.evaluate`.
    device : Device
    clock : Clock or None

    Returns
    -------
    Networks
        Its table has ``model``, ``test``, ``accuracy``, ``precision``, ``auc``, ``top5``, ``parameters``, ``epochs``
        and ``seconds`` (of training).

    Raises
    ------
    KitError
        As `recogniser.train`; if the time is up before all are trained.
    """
    folders = {name: Path(folder, "networks", name) for name in wanted}
    clock = clock or Clock()
    with exclusive_task(folder, "training"):
        for name, epochs in wanted.items():
            recipe = identify.recipe(name, epochs=epochs)
            if not identify.train(folders[name], collection.data, recipe, device=device, clock=clock):
                raise KitError("the time is up. What was trained is kept: run again to continue.")
    rows, valid = [], {}
    for name, epochs in wanted.items():
        done = read_json(member_folder(folders[name], 0) / "done.json")
        valid[name] = done["valid_accuracy"]
        about = {"parameters": done["weights"], "epochs": epochs, "seconds": round(done["seconds"])}
        results = evaluation.evaluate(Recogniser(folders[name], device=device), collection, count, device)
        rows += [{"model": name, "test": test, **scores, **about} for test, scores in results.items()]
    best = max(valid, key=valid.get)
    write_json(Path(folder, "networks.json"), {"best": best, "table": rows})
    return Networks(collection, folders, pd.DataFrame(rows), folders[best], device)


def best_network(folder):
    """The folder of the best network of `compare_networks`.

    Raises
    ------
    KitError
        If there is none.
    """
    networks = read_json(Path(folder, "networks.json"))
    if networks is None:
        raise KitError(
            f"{folder} contains no network that knows songs. Run the notebook 05_identify_songs first, or give "
            "its work folder with --network."
        )
    return Path(folder, "networks", networks["best"])


def fewer_songs(sizes, songs):
    """Numbers of songs for further networks, from a parameter of a notebook.

    Parameters
    ----------
    sizes : str
        With spaces between them; empty: none.
    songs : int
        How many there are.

    Returns
    -------
    list of int

    Raises
    ------
    KitError
        If one is not a number from 2 to less than all songs.
    """
    sizes = str(sizes).split()
    if wrong := [size for size in sizes if not size.isdigit() or not 2 <= int(size) < songs]:
        raise KitError(f"sizes must be between 2 and {songs - 1} songs, not {listed(wrong)}.")
    return [int(size) for size in sizes]


def growth(folder, networks, sizes, model, epochs, *, count, clock=None):
    """Accuracy and training time against the number of songs.

    Parameters
    ----------
    folder : path-like
    networks : Networks
        Of all songs.
    sizes : sequence of int
        As `fewer_songs` returns them.
    model : str
        One of those in `networks`.
    epochs, count
        As in `compare_networks`.
    clock : Clock or None

    Returns
    -------
    DataFrame
        ``songs``, ``accuracy`` and ``top5`` on other fragments of the same recordings, ``seconds``.

    Raises
    ------
    KitError
        As `compare_networks`.
    """
    data = networks.collection.data
    tables = {data.classes: networks.table}
    for size in sizes:
        smaller = replace(data, names=data.names[:size], songs=data.songs[:size])
        part = replace(networks.collection, data=smaller)
        tables[size] = compare_networks(
            Path(folder, f"{size} songs"), part, {model: epochs}, count=count, device=networks.device, clock=clock
        ).table
    rows = []
    for size, table in sorted(tables.items()):
        row = table[table["model"] == model].iloc[0]    # of the first test
        rows.append({"songs": size, **row[["accuracy", "top5", "seconds"]]})
    return pd.DataFrame(rows)
