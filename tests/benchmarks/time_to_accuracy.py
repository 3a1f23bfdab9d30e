"""Minutes from MP3s to a submission: python tests/benchmarks/time_to_accuracy.py BENCHMARKS QUICK [BEST].

BENCHMARKS is ``benchmarks.json`` of ``python -m tests.benchmarks DATA features separation epoch prediction``; QUICK and
BEST are the minutes that ``python -m snippetkit run --data DATA --recipe …`` took with these recipes on the same
machine. The other rows are sums: the measured time of a clip times the number of clips. 4,807 clips are separated and
described; each of five members trains on 3,059 of them in 10 epochs, and predicts 765 after each epoch and 983 at the
end. The accuracies are those of results/recipes.csv.

Writes results/time_to_accuracy.csv and figures/time_to_accuracy.png, and prints the table.
"""

from pathlib import Path

import click
import pandas as pd
from side_by_side import markdown

from snippetkit.figures.canvas import COLOURS, save, subplots
from snippetkit.utils.storage import read_json, write_table

HERE = Path(__file__).parent
CLIPS, TRAIN, VALID, TEST = 4807, 3059, 765, 983


@click.command()
@click.argument("benchmarks", type=click.Path(path_type=Path, exists=True))
@click.argument("quick", type=float)
@click.argument("best", type=float, required=False)
def main(benchmarks, quick, best):
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
        **({"best": (best, "best")} if best else {}),
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
