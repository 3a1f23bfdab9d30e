"""Accuracy of recipes and ingredients: python tests/benchmarks/recipes.py DATA FOLDER [--rows best,published].

Every row is a run with a work folder of its own below FOLDER. A row is trained on the mixture; rows whose name ends in
"-vocals", "best" and "quick" are trained on vocals, which are separated once for all rows. Complete runs are not
trained again. The predictions of finished rows are kept in results/held_out, so that rows of different days can be
compared. The rows with a random split show how much it overestimates the accuracy.
"""

import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
from side_by_side import markdown

from snippetkit.data.competition import find
from snippetkit.prediction.evaluation import compare_runs, interval, read_out_of_fold
from snippetkit.recipe import LIGHT_TRAINING, Recipe
from snippetkit.training.members import finished_members, read_histories
from snippetkit.utils.storage import read_json, write_table

KEPT = Path(__file__).with_name("results") / "held_out"
_FINE = (
    "sample_rate=22050", "preemphasis=0", "frame_length=2048", "hop=512", "window=hann", "n_fft=2048", "floor=1e-10",
)
_TWO_RESOLUTIONS = (
    *_FINE, "second_n_fft=8192", "scale=log", "n_mels=168", "f_min=63.5", "f_max=8372", "pool=2",
    "crop=0", "time_mask=16", "band_mask=20",
)
_FINER_BANDS = (*_FINE, "n_mels=128", "f_max=11025", "crop=80", "time_mask=16", "band_mask=24")
# the light training; and the same of the published network, in more epochs
_RESNET18 = ("split=songs", *(f"{name}={str(value).lower()}" for name, value in LIGHT_TRAINING.items()))
_RESNET34 = (*_RESNET18, "model=resnet34", "epochs=13")

# name of the row: recipe, members, other choices
ROWS = {
    "best": ("best", 5, ()),
    "quick": ("quick", 0, ()),    # classifiers on pretrained features, of the mixture and of the vocals
    # best without other speeds and duets, with the classifiers of quick and with networks of the light training
    "without-variants-vocals": ("best", 20, (
        *_RESNET18, "semitones=0", "duets=0", "sequence_members=10",
        f"classifiers={Recipe.quick().classifiers},{Recipe.best().classifiers.split(',')[-1]}",
    )),
    "published-random": ("published", 1, ()),
    "resnet34-random": ("published", 1, (*_RESNET34, "split=random")),
    "cnn3": ("published", 5, ("split=songs", "model=cnn3")),
    "published": ("published", 5, ("split=songs",)),
    "resnet34": ("published", 5, _RESNET34),
    # about as long as the 13 epochs on crops
    "without-crop": ("published", 1, (*_RESNET34, "crop=0", "time_mask=60", "epochs=10")),
    "without-standardising": ("published", 1, (*_RESNET34, "standardise=false")),
    "without-masks": ("published", 1, (*_RESNET34, "time_mask=0", "band_mask=0")),
    "without-mixup": ("published", 1, (*_RESNET34, "mixup=0")),
    "without-smoothing": ("published", 1, (*_RESNET34, "label_smoothing=0")),
    "without-averaged-weights": ("published", 1, (*_RESNET34, "ema_decay=0")),
    "without-one-cycle": ("published", 1, (*_RESNET34, "schedule=cosine_restarts", "lr=3e-4", "weight_decay=1e-5")),
    # other features: 24 bands per octave from frames of 93 ms and of 372 ms, as two channels; 128 mel bands
    "two-resolutions": ("published", 5, (*_RESNET34, *_TWO_RESOLUTIONS, "epochs=12")),
    "finer-bands": ("published", 5, (*_RESNET34, *_FINER_BANDS, "epochs=12")),
    # fewer layers and epochs, so a member takes less time
    "resnet18": ("published", 5, _RESNET18),
    "resnet18-two-resolutions": ("published", 5, (*_RESNET18, *_TWO_RESOLUTIONS)),
    "resnet18-finer-bands": ("published", 5, (*_RESNET18, *_FINER_BANDS)),
}
ROWS |= {f"{name}-vocals": ROWS[name] for name in ("cnn3", "published", "resnet34", "resnet18")}

# name of the row: the rows whose members are averaged
MIXES = {
    "two-kinds": ("resnet34", "two-resolutions"),
    "three-kinds": ("resnet34", "two-resolutions", "finer-bands"),
    "two-resnet18-kinds": ("resnet18", "resnet18-two-resolutions"),
    "three-resnet18-kinds": ("resnet18", "resnet18-two-resolutions", "resnet18-finer-bands"),
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
    labels = find(data).labels
    for name in rows if train else []:
        _train(data, folder, name, members)
        _keep(folder, name)
    columns = (
        "row", "members", "predictions per clip", "clips", "accuracy", "interval", f"against {against}, same clips", "s"
    )
    baseline = _predictions(folder, against, labels)
    tables = {name: _predictions(folder, name, labels) for name in rows}
    finished = [_row(folder, name, table, baseline) for name, table in tables.items() if table is not None]
    click.echo(markdown(columns, finished))


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
    if name.endswith("-vocals") or name in ("best", "quick"):
        _link(folder / "vocals", folder / name / "vocals")
    else:
        settings = ("separator=none", *settings)
    choices = [word for setting in settings for word in ("--set", setting)]
    beside = [word for other in others for word in ("--beside", folder / other)]
    subprocess.run([
        sys.executable, "-m", "snippetkit", "run", "--data", data, "--out", folder / name,
        "--recipe", recipe, "--members", str(members), *choices, *beside,
    ], check=True, stdout=subprocess.DEVNULL)


def _share(run, folder):
    """Make a work folder for the average of several runs, which uses all results of the first of them."""
    for name in ("vocals", "features", "members"):
        _link(run / name, folder / name)


def _link(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    name.parent.mkdir(exist_ok=True)
    if not name.exists():
        name.symlink_to(folder.resolve())


def _keep(folder, name):
    """Keep the predictions of a finished row, without the labels, which belong to the competition."""
    table = read_out_of_fold(folder / name)
    if table["split"][0] != "random":
        write_table(KEPT / f"{name}.csv", table[["id", "group", "predicted"]])


def _predictions(folder, name, labels):
    """The table of a row, of a run or kept; None if it was not trained."""
    if (folder / name / "held_out.csv").exists():
        return read_out_of_fold(folder / name)
    if (KEPT / f"{name}.csv").exists():
        table = pd.read_csv(KEPT / f"{name}.csv")
        return table.assign(label=labels[table["id"]], split="songs")
    return None


def _row(folder, name, table, baseline):
    is_right = (table["predicted"] == table["label"]).to_numpy(float)
    is_random = table["split"][0] == "random"
    found = None if is_random else interval(is_right, table["group"].to_numpy())
    has_difference = baseline is not None and not is_random and not baseline.equals(table)
    return [
        name, *_size(folder / name), len(table), f"{is_right.mean():.3f}",
        f"{found['low']:.3f} to {found['high']:.3f}" if found else "none: random split",
        _difference(table, baseline) if has_difference else "", _seconds(folder, name),
    ]


def _size(run):
    """Members and predictions per clip; empty if only the predictions were kept."""
    report = read_json(run / "report.json")
    return (report["members"], report["validation"]["members_per_clip"]) if report else ("", "")


def _seconds(folder, name):
    """Median seconds per member; by epochs, because a pause of the machine lengthens single epochs."""
    seconds = []
    for kind in MIXES.get(name, [name]):
        members = folder / kind / "members"
        histories = read_histories(members) if members.exists() else {}
        seconds += [len(histories[i]) * histories[i]["seconds"].median() for i in finished_members(members)]
    return f"{np.median(seconds):.0f}" if seconds else ""


def _difference(table, baseline):
    both = compare_runs(table, baseline)
    text = f"{100 * (both['accuracy'] - both['baseline']):+.1f} points"
    if both["interval"]:
        text += f" ({100 * both['interval']['low']:+.1f} to {100 * both['interval']['high']:+.1f})"
    return text


if __name__ == "__main__":
    main()
