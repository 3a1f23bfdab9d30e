"""Networks for the same songs, trained and judged side by side."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ... import models
from ...training.members import member_folder
from ...utils.clock import Clock
from ...utils.errors import KitError, listed
from ...utils.lock import exclusive_task
from ...utils.progress import say
from ...utils.storage import read_json, write_json
from . import judging
from . import recogniser as identify
from .collection import Collection
from .recogniser import Recogniser

_TELLING = 0.7      # area under the ROC curve (0.5 is chance) from which "unknown song" means something


@dataclass(frozen=True)
class Networks:
    """Networks that learned the same songs.

    Attributes
    ----------
    collection : Collection
    folders : dict
        Name of the model to the folder of its network.
    table : DataFrame
        A row a model and test: see `compare_networks`.
    best : Path
        The folder of the network that was right most often on the fragments held out from the training, which are
        those of no test.
    device : Device
    """

    collection: Collection
    folders: dict
    table: pd.DataFrame
    best: Path
    device: object

    def against_noise(self, count):
        """`judging.against_noise` for each of them: dict of DataFrame."""
        sounds, mix = self.collection.test_sounds(self.device), self.collection.data.mix
        return {
            name: judging.against_noise(
                Recogniser(folder, device=self.device).network, sounds, count, mix, self.device
            )
            for name, folder in self.folders.items()
        }

    def choose_threshold(self, count):
        """Let the best network say "unknown": a threshold from one half of the recordings, judged on the other.

        Parameters
        ----------
        count : int
            Recordings of each song, in each half. Of the songs that were kept back no song is in both.

        Returns
        -------
        dict
            As `judging.rates` gives it, with the highest probabilities of the half it was judged on as ``known`` and
            ``unknown``.

        Raises
        ------
        KitError
            If fewer than two songs were kept back.
        """
        unknown = self.collection.unknown
        if len(unknown) < 2:
            raise KitError("a threshold takes two songs that were kept back: set unknown to 2 or more.")
        recogniser = Recogniser(self.best, device=self.device)
        halves = []
        for seed, kept in enumerate((unknown[::2], unknown[1::2])):
            part = replace(self.collection, unknown=kept)
            halves.append([
                np.array([recogniser.probabilities(each).mean(axis=0).max()
                          for each in judging.recordings(sounds, part, count, seed=seed)])
                for sounds in (part.test_sounds(self.device), part.unknown_sounds(self.device))
            ])
        threshold = judging.choose_threshold(*halves[0])
        write_json(self.best / "threshold.json", {"threshold": threshold})
        known, others = halves[1]
        rates = judging.rates(known, others, threshold)
        if rates["auc"] < _TELLING:
            say("this network cannot tell songs that it never learned: do not rely on \"unknown song\"; "
                "longer training or more songs kept back may help")
        return {**rates, "known": known, "unknown": others}


def chosen(names, epochs):
    """Models and their epochs from two lines of a notebook's parameters.

    Parameters
    ----------
    names, epochs : str
        With spaces between them.

    Returns
    -------
    dict
        Name to epochs.

    Raises
    ------
    KitError
        If there is no such model, or not a number of epochs for each.
    """
    names, epochs = names.split(), str(epochs).split()      # papermill makes a number of a lone one
    if not names or len(names) != len(epochs) or not all(each.isdigit() and int(each) for each in epochs):
        raise KitError(f"models and epochs do not go together: {' '.join(names)!r} and {' '.join(epochs)!r}.")
    if strangers := [name for name in names if name not in models.NAMES]:
        raise KitError(f"there is no model {listed(strangers)}; choose among {', '.join(models.NAMES)}.")
    return dict(zip(names, map(int, epochs)))


def compare_networks(folder, collection, wanted, *, count, device, clock=None):
    """Train a network of each model, or find it trained, and judge all by the same tests.

    Parameters
    ----------
    folder : path-like
        Gets a folder a model below ``networks``, and ``networks.json`` with the table and the name of the best.
    collection : Collection
    wanted : dict
        As `chosen` gives it.
    count : int
        As in `judging.judge`.
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
        As `identify.train` does; if the time was up before all were trained.
    """
    folders = {name: Path(folder, "networks", name) for name in wanted}
    clock = clock or Clock()
    with exclusive_task(folder, "training"):
        for name, epochs in wanted.items():
            recipe = identify.recipe(name, epochs=epochs)
            if not identify.train(folders[name], collection.data, recipe, device=device, clock=clock):
                raise KitError("the time is up; what was trained is kept: run again to go on.")
    rows, valid = [], {}
    for name, epochs in wanted.items():
        done = read_json(member_folder(folders[name], 0) / "done.json")
        valid[name] = done["valid_accuracy"]
        about = {"parameters": done["weights"], "epochs": epochs, "seconds": round(done["seconds"])}
        found = judging.judge(Recogniser(folders[name], device=device), collection, count, device)
        rows += [{"model": name, "test": test, **scores, **about} for test, scores in found.items()]
    best = max(valid, key=valid.get)
    write_json(Path(folder, "networks.json"), {"best": best, "table": rows})
    return Networks(collection, folders, pd.DataFrame(rows), folders[best], device)


def best_network(folder):
    """The folder of the best network that `compare_networks` left below a folder.

    Raises
    ------
    KitError
        If it left none.
    """
    found = read_json(Path(folder, "networks.json"))
    if found is None:
        raise KitError(
            f"{folder} holds no network that knows songs; run the notebook 05_identify_songs first, or name the folder "
            "where it worked: --network."
        )
    return Path(folder, "networks", found["best"])


def fewer_songs(sizes, songs):
    """Numbers of songs to train further networks on, from the text that names them.

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
        If one is no number, or none from 2 to less than all.
    """
    sizes = str(sizes).split()
    if wrong := [size for size in sizes if not size.isdigit() or not 2 <= int(size) < songs]:
        raise KitError(f"sizes must lie from 2 to {songs - 1} songs; {listed(wrong)} does not.")
    return [int(size) for size in sizes]


def growth(folder, networks, sizes, model, epochs, *, count, clock=None):
    """How accuracy and seconds of training grow with the number of songs.

    Parameters
    ----------
    folder : path-like
    networks : Networks
        Of all songs.
    sizes : sequence of int
        As `fewer_songs` gives them.
    model : str
        One of those that `networks` has.
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
        As `compare_networks` does.
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
