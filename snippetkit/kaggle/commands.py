"""The command line: ``python -m snippetkit kaggle build | notebook | push | resume | fetch``."""

import click

from ..utils.errors import KitError
from ..utils.paths import PathType

_BUILD = click.option(
    "--build", "folder", default="kaggle/build", show_default=True, type=PathType(),
    help="Folder of the build.",
)
_EVERY = click.option("--every", "seconds", default=30.0, show_default=True, help="Seconds between status requests.")


@click.group()
def kaggle():
    """Run the four notebooks on Kaggle with the official client: build, push, resume, fetch."""


@kaggle.command()
@click.option("--user", required=True, help="Your name on Kaggle.")
@click.option("--competition", default="", help="The competition: its name or the address of one of its pages.")
@click.option("--dataset", "datasets", multiple=True, metavar="OWNER/NAME", help="A dataset to attach; repeatable.")
@_BUILD
@click.option("--recipe", default="best", show_default=True, help="As in run.")
@click.option("--members", default=0, help="As in run.")
@click.option("--epochs", default=0, help="As in run.")
@click.option("--on-bad", default="fail", show_default=True, help="As in run.")
@click.option("--neighbours", default=0.0, type=click.FloatRange(0, 1), help="As in run.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="As in run.")
@click.option("--weights/--no-weights", default=True, help="Send the weights that the recipe needs as a dataset.")
@click.option("--internet/--no-internet", default=True, help="With --no-weights: may 01 and 02 download them?")
def build(
    user, competition, datasets, folder, recipe, members, epochs, on_bad, neighbours, settings, weights, internet
):
    """Build what the client sends: the kit's wheel and weights as datasets, and four notebooks with their metadata."""
    from ..recipe import Recipe
    from ..run.parameters import read_parameters
    from ..run.weights import needed
    from .build import build_folders

    # a mistake is an error here, not on Kaggle
    given = read_parameters(
        recipe=recipe, settings=settings, members=members, epochs=epochs, on_bad=on_bad, neighbours=neighbours,
    )
    chosen = Recipe.named(recipe).with_settings(settings)
    folders = build_folders(
        folder, user=user, competition=competition, datasets=datasets,
        parameters=vars(given), separates=chosen.separator != "none", has_classifiers=bool(chosen.classifiers),
        weights={row.release.name: row.find() for row in needed(chosen) if weights}, internet=internet,
    )
    for path in folders:
        click.echo(path)


@kaggle.command()
@click.option("--competition", default="", help="Its name on Kaggle, for the instructions in the notebook.")
@click.option("--recipe", default="best", show_default=True, help="As in run.")
@click.option("--members", default=0, help="As in run.")
@click.option("--epochs", default=0, help="As in run.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="As in run.")
@click.option("--out", default="snippetkit.ipynb", show_default=True, type=PathType(), help="The notebook.")
def notebook(competition, recipe, members, epochs, settings, out):
    """Write one notebook that does all four steps on Kaggle, with the kit inside: import it there and run it."""
    from ..run.parameters import read_parameters
    from .single import build_notebook

    if out.suffix != ".ipynb":
        raise KitError(f"{out} does not end in .ipynb. Give --out the name of a notebook.")
    given = read_parameters(recipe=recipe, settings=settings, members=members, epochs=epochs)
    click.echo(build_notebook(out, competition=competition, parameters=vars(given)))
    click.echo("On Kaggle: Create, New Notebook, File, Import Notebook. Its first cell says the rest.")


@kaggle.command()
@_BUILD
@click.option("--from", "start", default="kit", show_default=True, help="Skip the parts before this one: 04_predict.")
@_EVERY
def push(folder, start, seconds):
    """Send the datasets and the notebooks in order; each waits until the one before has finished.

    A notebook that is running on Kaggle is waited for and not sent again."""
    from .client import push as push_parts

    push_parts(folder, start=start, seconds=seconds)


@kaggle.command()
@_BUILD
@_EVERY
def resume(folder, seconds):
    """Send 03_train_ensemble again with its last output attached: it trains the missing members."""
    from .client import resume as resume_training

    resume_training(folder, seconds=seconds)


@kaggle.command()
@_BUILD
@click.option("--out", default="runs/kaggle", show_default=True, type=PathType(), help="Where to.")
def fetch(folder, out):
    """Fetch submission.csv, the report, the figures and the executed notebooks."""
    from .client import fetch as fetch_results

    for path in fetch_results(folder, out):
        click.echo(path)
