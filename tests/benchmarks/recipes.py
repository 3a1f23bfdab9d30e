"""What each ingredient of the recipes is worth: python tests/benchmarks/recipes.py DATA FOLDER [--rows best,published].

Every row is a run of the kit with a work folder of its own below FOLDER; what is complete there is not trained again,
so the table may be made in several sittings. Rows without songs kept apart are there to show how they flatter.
"""

import subprocess
import sys
from pathlib import Path

import click
import pandas as pd

from snippetkit.prediction.evaluation import compare_runs, read_out_of_fold
from snippetkit.training.members import finished_members, read_histories
from snippetkit.utils.storage import read_json

_FINE = (
    "sample_rate=22050", "preemphasis=0", "frame_length=2048", "hop=512", "window=hann", "n_fft=2048", "floor=1e-10",
)
_TWO_RESOLUTIONS = (
    *_FINE, "second_n_fft=8192", "scale=log", "n_mels=168", "f_min=63.5", "f_max=8372", "pool=2",
    "crop=0", "time_mask=16", "band_mask=20",
)
_FINER_BANDS = (*_FINE, "n_mels=128", "f_max=11025", "crop=80", "time_mask=16", "band_mask=24")
_SMALL = ("model=resnet18", "epochs=6")

# name of the row: recipe, members, other choices
ROWS = {
    "published-random": ("published", 1, ()),
    "best-random": ("best", 1, ("split=random",)),
    "cnn3": ("published", 5, ("split=songs", "model=cnn3")),
    "published": ("published", 5, ("split=songs",)),
    "best": ("best", 5, ()),
    "without-crop": ("best", 1, ("crop=0", "time_mask=60", "epochs=10")),  # as long a training
    "without-standardising": ("best", 1, ("standardise=false",)),
    "without-masks": ("best", 1, ("time_mask=0", "band_mask=0")),
    "without-mixup": ("best", 1, ("mixup=0",)),
    "without-smoothing": ("best", 1, ("label_smoothing=0",)),
    "without-averaged-weights": ("best", 1, ("ema_decay=0",)),
    "without-one-cycle": ("best", 1, ("schedule=cosine_restarts", "lr=3e-4", "weight_decay=1e-5")),
    # other features: 24 bands an octave, through frames of 93 ms and of 372 ms as two channels; 128 mel bands
    "two-resolutions": ("best", 5, (*_TWO_RESOLUTIONS, "epochs=12")),
    "finer-bands": ("best", 5, (*_FINER_BANDS, "epochs=12")),
    # fewer layers and epochs: as many members in less time
    "small": ("best", 5, _SMALL),
    "small-two-resolutions": ("best", 5, (*_TWO_RESOLUTIONS, *_SMALL)),
    "small-finer-bands": ("best", 5, (*_FINER_BANDS, *_SMALL)),
}

# name of the row: the rows whose members are averaged
MIXES = {
    "two-kinds": ("best", "two-resolutions"),
    "three-kinds": ("best", "two-resolutions", "finer-bands"),
    "two-small-kinds": ("small", "small-two-resolutions"),
    "three-small-kinds": ("small", "small-two-resolutions", "small-finer-bands"),
}


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--rows", default=",".join([*ROWS, *MIXES]), show_default=True, help="Rows to train, in this order.")
@click.option("--members", default=0, help="Members of a row, unless it has more. Default: 5 or 1, as the row says.")
@click.option("--against", default="best", show_default=True, help="The row that the others are compared with.")
@click.option("--train/--no-train", default=True, help="Or only print what is there.")
def main(data, folder, rows, members, against, train):
    unknown = [name for name in rows.split(",") if name not in {*ROWS, *MIXES}]
    if unknown:
        raise click.UsageError(f"no row is called {', '.join(unknown)}; there are {', '.join([*ROWS, *MIXES])}.")
    if train:
        for name in rows.split(","):
            _train(data, folder, name, members)
    columns = ["row", "members", "answers a clip", "clips", "held out", "interval", f"to {against}, same clips", "s"]
    click.echo(f"| {' | '.join(columns)} |")
    click.echo("| --- " * len(columns) + "|")
    for name in rows.split(","):
        if (folder / name / "report.json").exists():
            click.echo(_row(folder / name, folder / against))


def _train(data, folder, name, members):
    """A row, or the rows of a mix and then their average."""
    if name not in MIXES:
        recipe, usual, settings = ROWS[name]
        return _run(data, folder / name, recipe, members or usual, settings)
    for part in MIXES[name]:
        _train(data, folder, part, members)
    first, *others = MIXES[name]
    _share(folder / first, folder / name)
    recipe, usual, settings = ROWS[first]
    beside = [each for other in others for each in ("--beside", folder / other)]
    _run(data, folder / name, recipe, members or usual, settings, beside)


def _share(run, folder):
    """A work folder of its own for the average of several runs, with all that the first of them has made."""
    folder.mkdir(exist_ok=True)
    for name in ("vocals", "features", "members"):
        if not (folder / name).exists():
            (folder / name).symlink_to((run / name).resolve())


def _run(data, folder, recipe, members, settings, more=()):
    members = max(members, len(finished_members(folder / "members")))   # a report of fewer would take its place
    choices = [each for setting in ("separator=none", *settings) for each in ("--set", setting)]
    subprocess.run([
        sys.executable, "-m", "snippetkit", "run", "--data", data, "--out", folder,
        "--recipe", recipe, "--members", str(members), *choices, *more,
    ], check=True, stdout=subprocess.DEVNULL)


def _row(folder, other):
    report = read_json(folder / "report.json")
    found = report["validation"]
    around = found["interval"]
    # a pause of the machine shows in one epoch, not in the median
    seconds = []
    for run in MIXES.get(folder.name, [folder.name]):
        histories = read_histories(folder.parent / run / "members")
        finished = finished_members(folder.parent / run / "members")
        seconds += [len(histories[i]) * histories[i]["seconds"].median() for i in finished]
    return "| " + " | ".join([
        folder.name,
        str(report["members"]),
        str(found["members_per_clip"]),
        str(found["clips"]),
        f"{found['accuracy']:.3f}",
        f"{around['low']:.3f} to {around['high']:.3f}" if around else "none: songs on both sides",
        _difference(folder, other) if around and folder != other else "",
        f"{pd.Series(seconds).median():.0f}",
    ]) + " |"


def _difference(folder, other):
    if not (other / "held_out.csv").exists():
        return "not trained"
    found = compare_runs(read_out_of_fold(folder), read_out_of_fold(other))
    text = f"{100 * (found['accuracy'] - found['baseline']):+.1f} points"
    if around := found["interval"]:
        text += f" ({100 * around['low']:+.1f} to {100 * around['high']:+.1f})"
    return text


if __name__ == "__main__":
    main()
