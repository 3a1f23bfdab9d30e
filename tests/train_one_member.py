"""Train one small member in a process that may kill itself on the way. For tests of killed runs."""

import io
import itertools
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from snippetkit.recipe import LIGHT_TRAINING, Recipe
from snippetkit.training.member import train_member
from snippetkit.utils.hardware import Device


def train(folder, data, model, moment="", count=1):
    """Train member 3.

    Parameters
    ----------
    folder : Path
    data : TrainingData
    model : str
    moment : str
        When the process kills itself: 'batch', after that many batches; 'checkpoint', when that many halves of
        checkpoints are written; the name of a file, before a file gets this name for that many times; 'remove' and a
        name, before the file is removed.
    count : int
        Within this process.
    """
    events, save, update = itertools.count(1), torch.save, tqdm.update

    def kill_if(is_moment):
        if is_moment and next(events) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    def save_in_halves(content, file):
        save(content, buffer := io.BytesIO())
        for half in np.array_split(np.frombuffer(buffer.getvalue(), np.uint8), 2):
            file.write(half)
            file.flush()
            kill_if(moment == "checkpoint")

    torch.save = save_in_halves
    tqdm.update = lambda bar, n=1: [kill_if(moment == "batch"), update(bar, n)]
    sys.addaudithook(lambda event, arguments: kill_if(
        event == "os.rename" and Path(arguments[1]).name == moment
        or event == "os.remove" and f"remove {Path(arguments[0]).name}" == moment
    ))
    # All that draws random numbers or has a state of its own takes part.
    recipe = Recipe(**LIGHT_TRAINING | {"split": "songs"}).with_values(
        separator="none", model=model, folds=3, epochs=4, batch_size=16, crop=30, time_mask=8, precision="fp32",
    )
    train_member(folder, 3, recipe, data, device=Device("cpu", "CPU", "fp32"))
