"""Hyperparameter search for the genre study's simple network: many trials, of which the poor ones are stopped early.

Li et al., "Hyperband: A novel bandit-based approach to hyperparameter optimization" (JMLR 2018), as Optuna's pruner.
"""

import functools
import logging
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
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
from ..classical import count_parameters
from ..methods import Method
from ..networks import simple_cnn

SPACE = {"kernel": (3, 6), "filters": (32, 256), "dropout": (0.2, 0.25, 0.5), "lr": (1e-2, 1e-3, 1e-4)}
_FILTERS = [f"filters_{i}" for i in range(4)]   # of the convolutions; multiples of
_STEP = 32


def search(folder, data, recipe, *, device, tries=20, most_filters=SPACE["filters"][1], clock=None):
    """Search outside fold 0: trials are trained without fold 1 and validated on it.

    Finished trials are kept: an interrupted search continues, and a search with more tries adds to them.

    Parameters
    ----------
    folder : path-like
        Gets a log of the trials, named after a digest of data and recipe.
    data : TrainingData
    recipe : Recipe
        Its epochs are the most that a trial gets.
    device : Device
    tries : int
        Number of trials.
    most_filters : int
        Per layer; fewer than the study's 256 make trials shorter.
    clock : Clock or None
        After the first complete trial, no trial is started that may exceed the time limit, estimated from the
        slowest.

    Returns
    -------
    optuna.Study
        ``best_params`` holds the best choice; see `trials_table`.

    Raises
    ------
    KitError
        If there are fewer than three folds, or Optuna is not installed.
    """
    if recipe.folds < 3:
        raise KitError(
            f"folds={recipe.folds} is too few for tuning: one fold is for evaluation, one for validation, the others "
            "for training. Choose 3 or more."
        )
    try:
        import optuna
    except ImportError:
        raise KitError("tuning needs Optuna: pip install -r requirements-lab.txt") from None
    optuna.logging.set_verbosity(logging.WARNING)
    rows, _ = folds.split(data, recipe, 0)
    is_valid = data.songs.fold[rows] == 1
    name = digest([data.fingerprint(recipe), recipe.part("member"), most_filters])
    Path(folder).mkdir(parents=True, exist_ok=True)
    log = optuna.storages.journal.JournalFileBackend(str(Path(folder) / f"search-{name}.log"))
    study = optuna.create_study(
        study_name=name, storage=optuna.storages.JournalStorage(log), load_if_exists=True, direction="maximize",
        pruner=optuna.pruners.HyperbandPruner(1, recipe.epochs, 3),
    )
    left = max(0, tries - sum(trial.state.is_finished() for trial in study.trials))
    # another seed than for the earlier trials, or the same values would be drawn again
    study.sampler = optuna.samplers.RandomSampler(recipe.seed + len(study.trials))
    with progress(total=tries, done=tries - left, title="Hyperband", unit="try") as bar:
        study.optimize(
            lambda trial: _run_trial(trial, data, rows[~is_valid], rows[is_valid], recipe, device, most_filters),
            n_trials=left,
            callbacks=[lambda study, trial: bar.update(), functools.partial(_stop_in_time, clock or Clock())],
        )
    return study


def _stop_in_time(clock, study, _):
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    slowest = max(trial.duration.total_seconds() for trial in finished)
    if any(trial.state.name == "COMPLETE" for trial in finished) and clock.would_overrun(slowest):
        say(f"Hyperband stopped after {len(finished)} tries because of the time limit. Run again to continue.")
        study.stop()


def _run_trial(trial, data, train, valid, recipe, device, most_filters):
    from optuna import TrialPruned

    chosen = {name: trial.suggest_int(name, SPACE["filters"][0], most_filters, step=_STEP) for name in _FILTERS}
    chosen["kernel"] = trial.suggest_int("kernel", *SPACE["kernel"])
    chosen |= {name: trial.suggest_categorical(name, SPACE[name]) for name in ("dropout", "lr")}
    network = TunedCNN(chosen, recipe, device, seed=recipe.seed)
    best = 0.0
    try:
        for epoch, _ in enumerate(network.epochs(data.train.array[train], data.labels[train]), 1):
            predicted = network.classes_[network.predict_proba(data.train.array[valid]).argmax(axis=1)]
            accuracy = float(np.mean(predicted == data.labels[valid]))
            best = max(best, accuracy)
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise TrialPruned
    except KitError as error:   # the loss became NaN: a poor choice, but no reason to end the search
        raise TrialPruned from error
    return best


def trials_table(study):
    """A row per trial: DataFrame with ``try``, its parameters, ``epochs`` and best validation ``accuracy``."""
    rows = [{
        "try": trial.number, "filters": _join_filters(trial.params),
        **{name: trial.params.get(name) for name in ("kernel", "dropout", "lr")},
        "epochs": len(trial.intermediate_values),
        "accuracy": max(trial.intermediate_values.values(), default=np.nan),
    } for trial in study.trials]
    return pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True)


def _join_filters(parameters):
    return "-".join(str(parameters[name]) for name in _FILTERS if name in parameters)


def tuned_method(study, recipe, device):
    """The best parameters as a `Method` on pictures, (clips, frames, bands).

    They were found outside fold 0, so only fold 0 may evaluate them (``folds=1``).
    """
    chosen = study.best_params
    name = f"CNN, 4 convolutions, tuned: {_join_filters(chosen)}, kernel {chosen['kernel']}"
    make = functools.partial(TunedCNN, chosen, recipe, device)
    return Method(name, "log-mel picture, first fold alone", make, count_parameters)


class TunedCNN(ClassifierMixin, BaseEstimator):
    """`networks.simple_cnn` with chosen hyperparameters, as a classifier for scikit-learn.

    Parameters
    ----------
    chosen : dict
        ``filters_0`` to ``filters_3``, ``kernel``, ``dropout`` and ``lr``.
    recipe : Recipe
        Epochs, batch size and augmentation.
    device : Device
    seed : int
    """

    def __init__(self, chosen, recipe, device, seed=0):
        self.chosen, self.recipe, self.device, self.seed = chosen, recipe, device, seed

    def fit(self, inputs, labels):
        for _ in progress(self.epochs(inputs, labels), total=self.recipe.epochs, title="tuned", unit="epoch"):
            pass
        return self

    def epochs(self, inputs, labels):
        """Train; yields after every epoch."""
        self.classes_ = np.unique(labels)
        self.statistics_ = band_statistics(inputs) if self.recipe.standardise else None
        train = self._dataset(inputs, np.searchsorted(self.classes_, labels))
        state = self._new_state()
        self.model_ = state.model
        for _ in range(self.recipe.epochs):
            with warnings.catch_warnings():     # torch warns that it copies its input for an even kernel
                warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")
                train_one_epoch(state, train, self.recipe, self.device, tqdm(disable=True))
            state.epoch += 1
            yield

    def _new_state(self):
        torch.manual_seed(self.seed)
        filters, classes = [self.chosen[name] for name in _FILTERS], len(self.classes_)
        model = simple_cnn(classes, self.chosen["dropout"], self.recipe.channels, filters, self.chosen["kernel"])
        model = model.to(self.device.name, memory_format=self.device.memory_format)
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.chosen["lr"], weight_decay=self.recipe.weight_decay)
        return State(
            identity={"member": 0}, model=model, averaged=None, optimizer=optimizer,
            scheduler=torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0),   # the chosen rate does not change
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
