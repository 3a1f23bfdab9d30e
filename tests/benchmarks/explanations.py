"""Where explanations fall on real clips: python tests/benchmarks/explanations.py DATA RUN VOCALS.

RUN is a finished run on the mixture with folds of songs (row ``resnet18`` of recipes.py), VOCALS the folder ``vocals``
of a run that separated the same clips. Measured are clips that the first member held out and predicts correctly, in
which the voice is loud in 10 to 65% of the time: within 10 dB of the 95th percentile of the vocals' energy, smoothed
over 0.2 s. Clips in which the voice pauses are rare, so loud and soft parts have to do.
"""

from pathlib import Path

import click
import numpy as np
import pandas as pd
import soundfile
import torch
from scipy.ndimage import uniform_filter1d
from side_by_side import markdown

from snippetkit.data.competition import find
from snippetkit.dataset import SnippetDataset
from snippetkit.features import extraction
from snippetkit.lab.singers.explain import EXPLANATIONS, ratio_on_voice
from snippetkit.training.members import member_folder, shared_recipe
from snippetkit.training.weights import load_network, read_statistics
from snippetkit.utils.hardware import Device
from snippetkit.utils.storage import read_json

CPU = Device("cpu", "CPU", "fp32")
_DECIBELS, _SMOOTHED, _SHARES = 10, 20, (0.1, 0.65)     # of loud frames; frames; of a clip


@click.command(help=__doc__)
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("vocals", type=click.Path(path_type=Path, exists=True))
def main(data, run, vocals):
    recipe, _ = shared_recipe(run / "members", [0])
    member, labels = member_folder(run / "members", 0), find(data).labels
    network = load_network(member, recipe, classes=4, device=CPU).eval()
    stored = extraction.load(run / "features" / "train.npy")
    held_out = np.flatnonzero(np.array(read_json(run / "features" / "folds.json")["fold"]) == 0)
    clips = SnippetDataset(
        stored.array[held_out], statistics=read_statistics(member), channels=recipe.channels
    ).features
    with torch.inference_mode():
        predicted = torch.cat([network(part).argmax(dim=1) for part in clips.split(64)]).numpy()
    rows = []
    for features, row, label in zip(clips, held_out, predicted):
        if label and label == labels[stored.ids[row]]:
            is_loud = _loud_frames(vocals / "train" / f"{stored.ids[row]}.flac", features.shape[1])
            if _SHARES[0] <= is_loud.mean() <= _SHARES[1]:
                rows.append({"most that is possible": 1 / is_loud.mean()} | {
                    name: ratio_on_voice(explain(network, features[None], int(label)), is_loud)
                    for name, explain in EXPLANATIONS.items()
                })
    table = pd.DataFrame(rows)
    click.echo(f"{len(table)} clips; share of an explanation in the loud part, divided by the share of that part\n")
    click.echo(markdown(("explanation", "median", "mean", "clips above 1"), [
        (name, f"{values.median():.2f}", f"{values.mean():.2f}", f"{(values > 1).mean():.2f}")
        for name, values in table.items()
    ]))


def _loud_frames(path, frames):
    signal, _ = soundfile.read(path, always_2d=True)
    starts = np.arange(frames) * len(signal) // frames
    energy = uniform_filter1d(np.add.reduceat(np.square(signal.mean(axis=1)), starts), _SMOOTHED)
    return energy > np.percentile(energy, 95) * 10 ** (-_DECIBELS / 10)


if __name__ == "__main__":
    main()
