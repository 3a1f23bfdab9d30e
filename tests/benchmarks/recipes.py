"""Accuracy of recipes and ingredients: python tests/benchmarks/recipes.py DATA FOLDER [--rows best,published].

Every row is a run with a work folder of its own below FOLDER. Complete runs are not trained again, so the table can be
made in several sessions. The rows with a random split show how much it overestimates the accuracy.
"""

import subprocess
import sys
from pathlib import Path

import click
import numpy as np
from side_by_side import markdown

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
    "without-crop": ("best", 1, ("crop=0", "time_mask=60", "epochs=10")),  # a training of about the same length
    "without-standardising": ("best", 1, ("standardise=false",)),
    "without-masks": ("best", 1, ("time_mask=0", "band_mask=0")),
    "without-mixup": ("best", 1, ("mixup=0",)),
    "without-smoothing": ("best", 1, ("label_smoothing=0",)),
    "without-averaged-weights": ("best", 1, ("ema_decay=0",)),
    "without-one-cycle": ("best", 1, ("schedule=cosine_restarts", "lr=3e-4", "weight_decay=1e-5")),
    # other features: 24 bands per octave from frames of 93 ms and of 372 ms, as two channels; 128 mel bands
    "two-resolutions": ("best", 5, (*_TWO_RESOLUTIONS, "epochs=12")),
    "finer-bands": ("best", 5, (*_FINER_BANDS, "epochs=12")),
    # fewer layers and epochs, so a member takes less time
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
@click.option("--members", default=0, help="Members per row, unless it has more. Default: 5 or 1, as the row says.")
@click.option("--against", default="best", show_default=True, help="The row that the others are compared with.")
@click.option("--train/--no-train", default=True, help="--no-train only prints the finished rows.")
def main(data, folder, rows, members, against, train):
    rows = rows.split(",")
    if unknown := [name for name in rows if name not in {*ROWS, *MIXES}]:
        raise click.UsageError(f"no row is called {', '.join(unknown)}; there are {', '.join([*ROWS, *MIXES])}.")
    for name in rows if train else []:
        _train(data, folder, name, members)
    columns = (
        "row", "members", "predictions per clip", "clips", "accuracy", "interval", f"against {against}, same clips", "s"
    )
    finished = [folder / name for name in rows if (folder / name / "report.json").exists()]
    click.echo(markdown(columns, [_row(run, folder / against) for run in finished]))


def _train(data, folder, name, members):
    """Train a row; for a mix, train its rows and then average them."""
    first, *others = kinds = MIXES.get(name, [name])
    if others:
        for kind in kinds:
            _train(data, folder, kind, members)
        _share(folder / first, folder / name)
    recipe, default, settings = ROWS[first]
    # with fewer members, the report of more would be overwritten
    members = max(members or default, len(finished_members(folder / name / "members")))
    choices = [word for setting in ("separator=none", *settings) for word in ("--set", setting)]
    beside = [word for other in others for word in ("--beside", folder / other)]
    subprocess.run([
        sys.executable, "-m", "snippetkit", "run", "--data", data, "--out", folder / name,
        "--recipe", recipe, "--members", str(members), *choices, *beside,
    ], check=True, stdout=subprocess.DEVNULL)


def _share(run, folder):
    """Make a work folder for the average of several runs, which uses all results of the first of them."""
    folder.mkdir(exist_ok=True)
    for name in ("vocals", "features", "members"):
        if not (folder / name).exists():
            (folder / name).symlink_to((run / name).resolve())


def _row(folder, other):
    report = read_json(folder / "report.json")
    metrics, interval, seconds = report["validation"], report["validation"]["interval"], []
    for kind in MIXES.get(folder.name, [folder.name]):
        members = folder.parent / kind / "members"
        histories = read_histories(members)
        # the median, because a pause of the machine lengthens single epochs
        seconds += [len(histories[i]) * histories[i]["seconds"].median() for i in finished_members(members)]
    return [
        folder.name, report["members"], metrics["members_per_clip"], metrics["clips"], f"{metrics['accuracy']:.3f}",
        f"{interval['low']:.3f} to {interval['high']:.3f}" if interval else "none: random split",
        _difference(folder, other) if interval and folder != other else "",
        f"{np.median(seconds):.0f}",
    ]


def _difference(folder, other):
    if not (other / "held_out.csv").exists():
        return "not trained"
    both = compare_runs(read_out_of_fold(folder), read_out_of_fold(other))
    text = f"{100 * (both['accuracy'] - both['baseline']):+.1f} points"
    if interval := both["interval"]:
        text += f" ({100 * interval['low']:+.1f} to {100 * interval['high']:+.1f})"
    return text


if __name__ == "__main__":
    main()
