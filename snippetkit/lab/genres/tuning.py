"""The simple network of the genre study, tuned by Hyperband: many tries, of which the poor ones end early.

Li et al., "Hyperband: A novel bandit-based approach to hyperparameter optimization" (JMLR 2018), by Optuna's pruner.
"""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from tqdm import tqdm

from ...dataset import SnippetDataset
from ...features.extraction import band_statistics
from ...songs import folds
from ...training.checkpoint import State
from ...training.epoch import predict, train_one_epoch
from ...utils.artifacts import digest
from ...utils.clock import Clock
from ...utils.errors import KitError
from ...utils.progress import progress, say
from ..methods import Method
from ..networks import simple_cnn

SPACE = {"kernel": (3, 6), "filters": (32, 256), "dropout": (0.2, 0.25, 0.5), "lr": (1e-2, 1e-3, 1e-4)}
_LAYERS, _STEP = 4, 32      # convolutions, and what their numbers of filters are multiples of


def search(folder, data, recipe, *, device, tries=20, most_filters=SPACE["filters"][1], clock=None):
    """Look for the best choices on the clips outside fold 0, of which fold 1 tells how good a try is.

    What was tried is kept: a search that was interrupted goes on where it was, and one of more tries adds to it.

    Parameters
    ----------
    folder : path-like
        Gets a file of what was tried, of a name that changes with data and recipe.
    data : TrainingData
    recipe : Recipe
        Its epochs are the most that a try gets.
    device : Device
    tries : int
    most_filters : int
        Of a layer; less than the study's 256 makes tries shorter.
    clock : Clock or None
        Once there is a best try, none is begun that might end too late, by the slowest so far.

    Returns
    -------
    optuna.Study
        Its ``best_params`` say what was best, and `tried` what was tried.

    Raises
    ------
    KitError
        If there are fewer than three folds; if Optuna is not there.
    """
    if recipe.folds < 3:
        raise KitError(
            f"{recipe.folds} folds are too few to tune in: one judges, one tells how good a try is, and the others are "
            "learned from; choose 3 or more (folds)."
        )
    try:
        import optuna
    except ImportError:
        raise KitError("what tunes networks is not installed: pip install -r requirements-lab.txt") from None
    optuna.logging.set_verbosity(logging.WARNING)
    rows, _ = folds.split(data, recipe, 0)      # fold 0 is for the judgement of what is found
    inner = data.songs.fold[rows] == 1
    name = digest([data.fingerprint(recipe), recipe.part("member"), most_filters])
    Path(folder).mkdir(parents=True, exist_ok=True)
    log = optuna.storages.journal.JournalFileBackend(str(Path(folder) / f"search-{name}.log"))
    study = optuna.create_study(
        study_name=name, storage=optuna.storages.JournalStorage(log), load_if_exists=True, direction="maximize",
        pruner=optuna.pruners.HyperbandPruner(1, recipe.epochs, 3),
    )
    left = tries - sum(trial.state.is_finished() for trial in study.trials)
    study.sampler = optuna.samplers.RandomSampler(recipe.seed + len(study.trials))  # else it would draw the same again
    with progress(total=tries, done=tries - max(0, left), title="Hyperband", unit="try") as bar:
        study.optimize(
            lambda trial: _try(trial, data, rows[~inner], rows[inner], recipe, device, most_filters),
            n_trials=max(0, left), callbacks=[lambda study, trial: bar.update(), _in_time(clock or Clock())],
        )
    return study


def _in_time(clock):
    def stop(study, trial):
        ended = [each for each in study.trials if each.state.is_finished()]
        slowest = max(each.duration.total_seconds() for each in ended)
        if any(each.state.name == "COMPLETE" for each in ended) and clock.would_overrun(slowest):
            say(f"Hyperband stopped after {len(ended)} tries, as the time is up; run again to go on")
            study.stop()

    return stop


def _try(trial, data, train, valid, recipe, device, most_filters):
    import optuna

    chosen = {
        **{f"filters_{i}": trial.suggest_int(f"filters_{i}", SPACE["filters"][0], most_filters, step=_STEP)
           for i in range(_LAYERS)},
        "kernel": trial.suggest_int("kernel", *SPACE["kernel"]),
        "dropout": trial.suggest_categorical("dropout", SPACE["dropout"]),
        "lr": trial.suggest_categorical("lr", SPACE["lr"]),
    }
    network = TunedCNN(chosen, recipe, device, seed=recipe.seed)
    best = 0.0
    try:
        for epoch, _ in enumerate(network.epochs(data.train.array[train], data.labels[train])):
            right = network.predict(data.train.array[valid]) == data.labels[valid]
            best = max(best, float(np.mean(right)))
            trial.report(float(np.mean(right)), epoch + 1)
            if trial.should_prune():
                raise optuna.TrialPruned
    except KitError as error:   # the loss is no number any more: a poor choice, and no reason to end the search
        raise optuna.TrialPruned from error
    return best


def tried(study):
    """A row a try: DataFrame with ``try``, what was chosen, ``epochs`` that it got, and its best ``accuracy``."""
    import pandas as pd

    rows = []
    for trial in study.trials:
        filters = "-".join(str(trial.params[f"filters_{i}"]) for i in range(_LAYERS) if f"filters_{i}" in trial.params)
        others = {name: trial.params.get(name) for name in ("kernel", "dropout", "lr")}
        seen = trial.intermediate_values
        rows.append({"try": trial.number, "filters": filters, **others, "epochs": len(seen),
                     "accuracy": max(seen.values(), default=np.nan)})
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True)


def tuned(study, recipe, device):
    """The best choices as a `Method` on pictures, (clips, frames, bands).

    They were found outside fold 0: judge them there alone (``members=1``).
    """
    chosen = study.best_params
    filters = "-".join(str(chosen[f"filters_{i}"]) for i in range(_LAYERS))
    return Method(
        name=f"CNN, 4 convolutions, tuned: {filters}, kernel {chosen['kernel']}",
        features="log-mel picture, first fold alone",
        make=lambda seed: TunedCNN(chosen, recipe, device, seed), parameters=TunedCNN.count,
    )


class TunedCNN(ClassifierMixin, BaseEstimator):
    """The simple network with choices of its own, as scikit-learn has classifiers.

    Parameters
    ----------
    chosen : dict
        ``filters_0`` to ``filters_3``, ``kernel``, ``dropout`` and ``lr``.
    recipe : Recipe
        Epochs, size of a batch and what changes a batch.
    device : Device
    seed : int
    """

    def __init__(self, chosen, recipe, device, seed=0):
        self.chosen, self.recipe, self.device, self.seed = chosen, recipe, device, seed

    def fit(self, inputs, labels):
        with progress(self.epochs(inputs, labels), total=self.recipe.epochs, title="tuned", unit="epoch") as epochs:
            for _ in epochs:
                pass
        return self

    def epochs(self, inputs, labels):
        """Train; yields after every epoch."""
        self.classes_ = np.unique(labels)
        self.statistics_ = band_statistics(inputs) if self.recipe.standardise else None
        train = self._dataset(inputs, np.searchsorted(self.classes_, labels))
        state = self._state()
        self.model_ = state.model
        for _ in range(self.recipe.epochs):
            with warnings.catch_warnings():     # torch tells of a copy that it makes, once for all even kernels
                warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")
                train_one_epoch(state, train, self.recipe, self.device, tqdm(disable=True))
            state.epoch += 1
            yield

    def _state(self):
        torch.manual_seed(self.seed)
        filters = [self.chosen[f"filters_{i}"] for i in range(_LAYERS)]
        classes, dropout, kernel = len(self.classes_), self.chosen["dropout"], self.chosen["kernel"]
        model = simple_cnn(classes, dropout, self.recipe.channels, filters, kernel)
        model = model.to(self.device.name, memory_format=self.device.memory_format)
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.chosen["lr"], weight_decay=self.recipe.weight_decay)
        return State(
            identity={"member": 0}, model=model, averaged=None, optimizer=optimizer,
            scheduler=torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),   # the rate is what is being chosen
            scaler=torch.amp.GradScaler(self.device.kind, enabled=self.device.precision == "fp16"),
            generator=torch.Generator().manual_seed(self.seed), classes=classes,
        )

    def _dataset(self, inputs, labels=None):
        return SnippetDataset(
            inputs, labels, device=self.device.name, statistics=self.statistics_, channels=self.recipe.channels
        )

    def predict_proba(self, inputs):
        logits = predict(self.model_, self._dataset(inputs), self.device)
        return torch.from_numpy(logits).softmax(dim=1).numpy()

    def count(self):
        """How many weights it has: int."""
        return sum(weights.numel() for weights in self.model_.parameters())

    def predict(self, inputs):
        return self.classes_[self.predict_proba(inputs).argmax(axis=1)]
