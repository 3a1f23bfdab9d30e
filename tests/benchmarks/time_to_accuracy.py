"""Minutes from MP3s to a submission, and the accuracy: python tests/benchmarks/time_to_accuracy.py BENCHMARKS MINUTES.

BENCHMARKS is ``benchmarks.json`` of ``python -m tests.benchmarks DATA features separation epoch prediction``, and
MINUTES what ``python -m snippetkit run --data DATA --recipe quick`` took on the same machine. The other rows are sums:
the measured time of a clip times the number of clips. 4,807 clips are separated and described; each of five members
trains on 3,059 of them in 10 epochs, and predicts 765 after each epoch and 983 at the end. best takes what quick takes
and its networks on log-mel features: 20 members, whose epochs are measured here on random clips; its ten networks on
pretrained features are not counted. The accuracies are those of results/recipes.csv.

Writes results/time_to_accuracy.csv and figures/time_to_accuracy.png, and prints the table.
"""

from dataclasses import replace
from pathlib import Path

import click
import pandas as pd
from resnet34 import CLASSES, DEVICE, random_dataset
from side_by_side import markdown, timed

from snippetkit.figures.canvas import COLOURS, save, subplots
from snippetkit.recipe import Recipe
from snippetkit.training import checkpoint
from snippetkit.training.epoch import train_one_epoch
from snippetkit.utils.progress import progress
from snippetkit.utils.storage import read_json, write_table

HERE = Path(__file__).parent
CLIPS, TRAIN, VALID, TEST = 4807, 3059, 765, 983
BATCHES = 15    # of an epoch that is measured


@click.command()
@click.argument("benchmarks", type=click.Path(path_type=Path, exists=True))
@click.argument("quick", type=float)
def main(benchmarks, quick):
    rows = pd.DataFrame(read_json(benchmarks)["rows"]).set_index(["part", "way"])["median"] / 60_000    # minutes

    def published(separation, features, loop):
        separated = CLIPS * rows["separation", separation] if separation else 0
        training = 10 * TRAIN * rows["epoch", loop] + (10 * VALID + TEST) * rows["prediction", loop]
        return separated + CLIPS * rows["features", features] + 5 * training

    plain, kit = ("published, one process", "published loop"), ("kit, all cores", "kit")
    minutes = {
        "published × 5, written out plainly": (published("stock `Separator`", *plain), "published-vocals"),
        "published × 5, by the kit": (published("network, exact", *kit), "published-vocals"),
        "quick": (quick, "quick"),
        "best": (quick + 20 * _member_of_best(), "best"),
        "published × 5 on the mixture, written out plainly": (published("", *plain), "published"),
        "published × 5 on the mixture, by the kit": (published("", *kit), "published"),
    }
    accuracies = pd.read_csv(HERE / "results" / "recipes.csv").set_index("row")
    slowest = minutes["published × 5, written out plainly"][0]
    table = pd.DataFrame([
        {"way": way, "minutes": round(value, 1), "share": round(value / slowest, 3),
         **accuracies.loc[row, ["accuracy", "accuracy_low", "accuracy_high"]]}
        for way, (value, row) in minutes.items()
    ])
    write_table(HERE / "results" / "time_to_accuracy.csv", table)
    save(_picture(table), HERE.parents[1] / "figures" / "time_to_accuracy.png")
    click.echo(markdown(list(table), table.astype(str).to_numpy()))


def _member_of_best():
    """Minutes of one network of best, from epochs on a part of the clips; predictions are not counted."""
    recipe = replace(Recipe.best(), classifiers="")
    dataset, batch = random_dataset(BATCHES * recipe.batch_size), recipe.batch_size
    state = checkpoint.new_state(
        {"member": 0}, recipe, seed=0, batches=-(-TRAIN // batch), classes=CLASSES, device=DEVICE
    )

    def epoch():
        train_one_epoch(state, dataset, recipe, DEVICE, progress(total=1, title="", unit="batch"))

    seconds = sorted(timed(epoch, 1, warm_up=epoch)["seconds"] for _ in range(3))[1]
    return recipe.epochs * TRAIN / (BATCHES * batch) * seconds / 60


def _picture(table):
    """Accuracy over minutes, with intervals."""
    figure, axes = subplots(1, 1, size=(8, 4.5))
    for colour, (_, row) in zip(COLOURS, table.iterrows()):
        error = [[row["accuracy"] - row["accuracy_low"]], [row["accuracy_high"] - row["accuracy"]]]
        axes.errorbar(row["minutes"], row["accuracy"], error, fmt="o", color=colour, capsize=3, label=row["way"])
    axes.set(xscale="log", xlabel="minutes from MP3s to a submission", ylabel="out-of-fold accuracy")
    ticks = [minutes for minutes in (5, 10, 20, 50, 100, 200, 500) if minutes < 2 * table["minutes"].max()]
    axes.set_xticks(ticks, labels=map(str, ticks))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower left")
    return figure


if __name__ == "__main__":
    main()
