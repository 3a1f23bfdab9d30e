"""Several networks for the same songs, trained and tested side by side; the best of them and its threshold."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from ...models import MODELS
from ...training.members import member_folder
from ...utils.errors import KitError, listed
from ...utils.lock import exclusive_task
from ...utils.parameters import number, text
from ...utils.progress import say
from ...utils.storage import read_json, write_json
from .collection import SongData
from .evaluation import accuracy_by_snr, choose_threshold, evaluate, keep, keep_highest, threshold_rates
from .noise import Mix
from .recogniser import Recogniser, song_recipe, train

_FEWEST_UNKNOWN = 2     # songs; one for each half of the recordings in `Networks.choose_threshold`
_LOWEST_AUC = 0.7   # from which the answer "unknown song" is of use; 0.5 is chance


@dataclass(frozen=True)
class Networks:
    """Networks that were trained on the same songs.

    Attributes
    ----------
    data : SongData
    results : Path
        Folder of the results that are kept, see `evaluation.keep`.
    recognisers : dict
        Name of the model to Recogniser.
    table : DataFrame
        One row per model and test, see `compare_networks`.
    best : Recogniser
        The one with the highest validation accuracy.
    """

    data: SongData
    results: Path
    recognisers: dict
    table: pd.DataFrame
    best: Recogniser

    def accuracy_by_snr(self, count):
        """`evaluation.accuracy_by_snr` of every network: dict of DataFrame."""
        sounds = self.data.sounds(self.best.recipe, self.best.device, test=True)
        return {
            model: keep(self.results, f"noise-{model}", recogniser, self.data, count,
                        partial(accuracy_by_snr, recogniser, sounds, self.data.mix, count))
            for model, recogniser in self.recognisers.items()
        }

    def choose_threshold(self, count):
        """Choose the threshold of the best network on one half of the recordings, and evaluate it on the other half.

        The threshold is saved with the network. No unknown song is in both halves.

        Parameters
        ----------
        count : int
            Recordings of each song in each half.

        Returns
        -------
        rates : dict
            As from `evaluation.threshold_rates`.
        known, unknown : ndarray, shape (recordings,)
            The highest probabilities in the second half.

        Raises
        ------
        KitError
            If there are fewer than two unknown songs.
        """
        if len(self.data.unknown) < _FEWEST_UNKNOWN:
            raise KitError("a threshold needs two unknown songs: set unknown to 2 or more.")
        halves = keep_highest(self.results, self.best, self.data, count)
        self.best.threshold = choose_threshold(*halves[0])
        write_json(self.best.folder / "threshold.json", {"threshold": self.best.threshold})
        rates = threshold_rates(*halves[1], self.best.threshold)
        if rates["auc"] < _LOWEST_AUC:
            say('this network cannot recognise unknown songs: do not rely on "unknown song". Longer training or more '
                "unknown songs may help.")
        return rates, *halves[1]


def parse_models(names, epochs):
    """Read two parameters of the notebook: models, and a number of epochs for each.

    Parameters
    ----------
    names, epochs : str
        Separated by spaces.

    Returns
    -------
    dict
        Name of the model to Recipe.

    Raises
    ------
    KitError
        If a model is unknown, or the numbers of epochs do not match the models.

    Examples
    --------
    >>> parse_models("dense alexnet", "12 10")["alexnet"].epochs
    10
    """
    names, epochs = text(names).split(), text(epochs).split()
    if not names or len(names) != len(epochs) or not all(number.isdigit() and int(number) for number in epochs):
        raise KitError(f"models {names} and epochs {epochs} do not match: give a number of epochs for each model.")
    if unknown := [name for name in names if name not in MODELS]:
        raise KitError(f"there is no model {listed(unknown)}. Choose among {', '.join(MODELS)}.")
    return {name: song_recipe(name, epochs=int(number)) for name, number in zip(names, epochs)}


def parse_numbers(*, snr, **counts):
    """Read further parameters of the notebook before any work.

    Parameters
    ----------
    snr : str
        Lowest and highest signal-to-noise ratio in dB, separated by spaces.
    **counts
        ``fragments``, ``held_out`` and ``unknown``.

    Returns
    -------
    mix : Mix
    dict
        The counts as int.

    Raises
    ------
    KitError
        If one is not a number, or too small.
    """
    ends = [number("snr", end) for end in text(snr).split()]
    if len(ends) != 2 or not ends[0] <= ends[1]:
        raise KitError(f"snr={snr!r} is not a range. Give its lowest and its highest value, such as '-5 20'.")
    counts = {name: number(name, value, int) for name, value in counts.items()}
    for name, value in counts.items():
        if value < (least := _FEWEST_UNKNOWN if name == "unknown" else 1):
            raise KitError(f"{name}={value} is too small. Give {least} or more.")
    return Mix(snr=tuple(ends)), counts


def parse_sizes(sizes, songs):
    """Read a parameter of the notebook: numbers of songs on which further networks are trained.

    Parameters
    ----------
    sizes : str
        Separated by spaces; may be empty.
    songs : int
        Number of all songs.

    Returns
    -------
    list of int

    Raises
    ------
    KitError
        If one is not a whole number from 2 to ``songs - 1``.

    Examples
    --------
    >>> parse_sizes("2 4", 12)
    [2, 4]
    """
    sizes = text(sizes).split()
    if wrong := [size for size in sizes if not size.isdigit() or not 2 <= int(size) < songs]:
        raise KitError(f"sizes must be between 2 and {songs - 1} songs, not {listed(wrong)}.")
    return [int(size) for size in sizes]


def compare_networks(folder, data, recipes, *, count, device, clock):
    """Train one network per model, unless that is done, and evaluate all of them with the same tests.

    Parameters
    ----------
    folder : path-like
        Gets a folder per model in ``networks``, and ``networks.json`` with the table and the name of the best model.
    data : SongData
    recipes : dict
        As from `parse_models`.
    count : int
        As in `evaluation.evaluate`.
    device : Device
    clock : Clock

    Returns
    -------
    Networks
        The columns of its table: ``model``, ``test``, ``accuracy``, ``precision``, ``auc``, ``top5``, ``parameters``,
        ``epochs`` and ``seconds`` (of training).

    Raises
    ------
    KitError
        As `recogniser.train`; if the time is over before all networks are trained.
    """
    folders = {model: Path(folder, "networks", model) for model in recipes}
    with exclusive_task(folder, "training"):
        for model, recipe in recipes.items():
            if not train(folders[model], data, recipe, device=device, clock=clock):
                raise KitError("the time is over. What was trained is kept: run again to continue.")
    tables, accuracies, results = [], {}, Path(folder, "results")
    recognisers = {model: Recogniser(path, device=device) for model, path in folders.items()}
    for model, recogniser in recognisers.items():
        done = read_json(member_folder(folders[model], 0) / "done.json")
        accuracies[model] = done["valid_accuracy"]
        costs = {"parameters": done["weights"], "epochs": done["epochs"], "seconds": round(done["seconds"])}
        tests = keep(results, f"tests-{model}", recogniser, data, count, partial(evaluate, recogniser, data, count))
        tables.append(tests.assign(model=model, **costs))
    table, best = pd.concat(tables, ignore_index=True), max(accuracies, key=accuracies.get)
    table.insert(0, "model", table.pop("model"))
    write_json(Path(folder, "networks.json"), {"best": best, "table": table.to_dict("records")})
    return Networks(data, results, recognisers, table, recognisers[best])


def measure_growth(folder, networks, sizes, model, *, count, clock):
    """Accuracy and training time for several numbers of songs.

    Parameters
    ----------
    folder : path-like
        Gets a folder per number.
    networks : Networks
        Of all songs.
    sizes : sequence of int
        As from `parse_sizes`.
    model : str
        One of `networks`.
    count, clock
        As in `compare_networks`.

    Returns
    -------
    DataFrame
        ``songs``, ``accuracy`` and ``top5`` on other fragments of the same recordings, ``seconds``.

    Raises
    ------
    KitError
        As `compare_networks`.
    """
    data, recogniser = networks.data, networks.recognisers[model]
    tables = {data.classes: networks.table}
    for size in sizes:
        tables[size] = compare_networks(
            Path(folder, f"{size} songs"), replace(data, names=data.names[:size], songs=data.songs[:size]),
            {model: recogniser.recipe}, count=count, device=recogniser.device, clock=clock,
        ).table
    # of the first test
    rows = {size: table[table["model"] == model].iloc[0] for size, table in sorted(tables.items())}
    return pd.DataFrame({"songs": size, **row[["accuracy", "top5", "seconds"]]} for size, row in rows.items())
