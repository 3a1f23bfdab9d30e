"""The command line: `python -m snippetkit`. Each command calls the kit and prints the result.

A command imports what it needs itself, so that --help does not wait for torch.
"""

import sys
from collections import Counter
from contextlib import suppress
from importlib.metadata import entry_points

import click

from . import __version__
from .data.commands import COMMANDS
from .kaggle.commands import kaggle
from .utils.errors import KitError, Stopped
from .utils.paths import PathType

_FOLDER = PathType()
_RUN_OPTIONS = [
    click.Option(["--data"], default="", help="Data folder. Default: the data attached on Kaggle, else a demo."),
    click.Option(["--out"], default="", help="Work folder. Default: Kaggle's, else runs/<name of the data folder>."),
    click.Option(["--recipe"], default="best", show_default=True, help="best, quick or published."),
    click.Option(["--members"], default=0, help="Networks in the ensemble. Default: the recipe's; 2 for the demo."),
    click.Option(["--epochs"], default=0, help="Epochs per network. Default: the recipe's; 9 for the demo."),
    click.Option(
        ["--max-hours"], default=0.0, type=click.FloatRange(0),
        help="Time limit. Default: none; 11 in a Kaggle batch session.",
    ),
    click.Option(["--on-bad"], default="fail", show_default=True, help="Damaged clips: fail, or skip train clips."),
    click.Option(["--weights"], default="", help="Folder of Spleeter's weights. Default: local, else a download."),
    click.Option(["--songs"], default="", help="CSV id,song. Default: the songs are inferred from the audio."),
    click.Option(["--neighbours"], default=0.0, type=click.FloatRange(0, 1), help="Weight of a clip's song."),
    click.Option(["--beside"], multiple=True, type=_FOLDER, help="Work folder of a run to average with; repeatable."),
    click.Option(["--cluster"], default="", help="dask://host:port or ray://host:port, for features and training."),
    click.Option(["--set", "settings"], multiple=True, metavar="NAME=VALUE", help="A recipe value; repeatable."),
]


def _options(*names):
    """Options that another command shares with `run`."""
    return [option for option in _RUN_OPTIONS if option.name in names]


# Commands in the order of --help. Those of plugins are the lab's and of other packages.
_GROUPS = {
    "Run and use": ("run", "predict", "compare", "choices", "weights", "demo"),
    "Kaggle": ("kaggle",),
    "Data": ("check", "labels", "sort", "sample-submission", "figures", "export-features", "import-features"),
    "Vocals": ("compare-separators",),
}


class _Commands(click.Group):
    """Groups the commands in --help, and prints the message of a KitError without a traceback, with exit status 1."""

    def format_commands(self, context, formatter):
        known = [name for names in _GROUPS.values() for name in names]
        groups = _GROUPS | {"Plugins": [name for name in self.list_commands(context) if name not in known]}
        for title, names in groups.items():
            rows = [(name, self.commands[name].get_short_help_str(limit=200)) for name in names]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def invoke(self, context):
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="surrogateescape")    # names of files that are not UTF-8
        try:
            return super().invoke(context)
        except KitError as error:
            if isinstance(error, Stopped):
                click.echo(err=True)    # the terminal wrote ^C behind a progress bar
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main():
    """Classify 3-second music snippets: no voice, one male voice, one female voice, or more than one voice."""


@main.command(params=_RUN_OPTIONS)
def run(data, out, recipe, members, epochs, max_hours, on_bad, weights, songs, neighbours, beside, cluster, settings):
    """Run the four notebooks, from clips to a submission. Complete stages are skipped.

    \b
    python -m snippetkit run                                    the demo
    python -m snippetkit run --data singers --recipe quick      your clips, in minutes
    """
    from .run import parameters, pipeline, workspace

    given = vars(parameters.read_parameters(
        data=data, out=out, recipe=recipe, members=members, epochs=epochs, settings=settings, max_hours=max_hours,
        on_bad=on_bad, weights=weights, songs=songs, neighbours=neighbours, cluster=cluster,
        beside=[folder.resolve() for folder in beside],
    ))
    work = workspace.open_workspace(given.pop("data"), given.pop("out"))
    outcome = pipeline.run(work, **given)
    if outcome.report is not None:
        _print_result(work, outcome.report)
    if outcome.finished < outcome.wanted:
        click.echo(f"{outcome.finished} of {outcome.wanted} members are finished; run the same command again to go on.")


def _print_result(work, report):
    from .prediction.report import headline

    lines = {
        "submission": work.submission,
        "report": work.report,
        "figures": ", ".join(map(str, sorted(work.figures.glob("*.png")))),
        "notebooks": work.notebooks,
        "validation accuracy": headline(report["validation"]),
    }
    if report["test"]:
        members = f"{report['members']} member{'s'[: report['members'] > 1]} averaged"
        lines["test accuracy"] = f"{report['test']['accuracy']:.4f} on {report['test']['clips']} clips, {members}"
    for name, value in lines.items():
        click.echo(f"{name:20} {value}")
    for note in report["notes"]:
        click.echo(f"note: {note}")


@main.command(params=_options("weights", "beside"))
@click.argument("run", type=_FOLDER)
@click.argument("sounds", type=_FOLDER, nargs=-1, required=True)
@click.option("--out", type=_FOLDER, help="CSV for all probabilities; a longer recording gets a picture beside it.")
def predict(run, sounds, out, weights, beside):
    """Say who sings in SOUNDS, files or folders, with the members of a finished RUN.

    A recording of more than 3 seconds is predicted in windows, one per second. It may have 10 minutes and 50 MB.
    """
    from .audio.recordings import recordings_below
    from .prediction.predictor import Predictor
    from .utils.parameters import path

    files = [file for sound in sounds for file in (recordings_below(sound) if sound.is_dir() else [sound])]
    if out is not None and not out.parent.is_dir():
        raise KitError(f"the folder {out.parent} of {out.name} does not exist.")
    predictor = Predictor(run, beside=beside, weights=path(weights))
    tables, faults = {}, 0
    try:
        for file, table in predictor.predict_all(files):
            if isinstance(table, KitError):
                click.echo(table, err=True)
                faults += 1
            else:
                tables[file] = table
                click.echo(f"{file}: {_summary(table, predictor.class_names)}")
    finally:    # after an interrupt, too
        if out is not None and tables:
            _write_predictions(out, tables, predictor.class_names)
    if faults:
        raise click.ClickException(f"{faults} of {len(files)} files could not be predicted, see above.")


def _summary(table, names):
    """The class of a clip; of a recording in windows, the mean and how often each class has the highest probability."""
    probabilities = table.filter(like="probability_").mean()
    answer = f"{names[probabilities.argmax()]}, {probabilities.max():.0%}"
    if len(table) == 1:
        return answer
    shares = table["class"].value_counts(normalize=True)
    return f"{answer} on average; " + ", ".join(f"{name} in {share:.0%}" for name, share in shares.items())


def _write_predictions(out, tables, class_names):
    import pandas as pd

    from . import figures
    from .utils.storage import write_table

    joined = pd.concat(tables, names=["file"]).reset_index("file")
    write_table(out, joined.round({name: 6 for name in joined.columns if name.startswith("probability_")}))
    click.echo(out)
    recordings = {file: table for file, table in tables.items() if len(table) > 1}
    names = Counter(file.stem for file in recordings)
    for number, (file, table) in enumerate(recordings.items()):
        stem = file.stem if names[file.stem] == 1 else f"{number}_{file.stem}"
        picture = out.with_name(f"{out.stem}_{stem}.png")
        figures.save(figures.timeline(table, class_names, title=file.name), picture)
        click.echo(picture)


@main.command()
@click.argument("clips", type=_FOLDER, nargs=-1, required=True)
@click.option("--out", type=_FOLDER, default=".", show_default=True, help="Folder for the pictures.")
def figures(clips, out):
    """Draw waveform, spectrogram and features of each of the CLIPS."""
    from . import audio
    from . import figures as pictures

    if len({path.stem for path in clips}) < len(clips):
        raise KitError("two clips have the same name, so their pictures would, too. Draw them in separate calls.")
    for path in clips:
        target = out / f"{path.stem}.png"
        pictures.save(pictures.clip(audio.load(path), title=path.name), target)
        click.echo(target)


@main.command("compare-separators", params=_options("weights"))
@click.argument("clip", type=_FOLDER)
def compare_separators(clip, weights):
    """Separate CLIP with the kit's network and with the Spleeter package, and compare the results."""
    from .utils.parameters import path
    from .vocals import comparison

    result = comparison.compare_separators(clip, path(weights))
    click.echo(f"weights          {result['weights']}")
    for name, key in {"mixture": "mixture", "vocals, torch": "torch", "vocals, spleeter": "spleeter"}.items():
        click.echo(f"{name:16} {result[key]:6.1f} dBFS")
    click.echo(f"difference       {result['below_vocals']:6.1f} dB below spleeter's vocals")
    click.echo(f"                 {result['below_mixture']:6.1f} dB below the mixture")
    if not result["agrees"]:
        raise click.ClickException(f"the difference is more than rounding: {comparison.EXPECTED} was expected.")


@main.command(params=_options("recipe", "settings"))
def choices(recipe, settings):
    """Print every choice of a recipe (default: best): its value, its meaning and unit, and what is allowed."""
    from .recipe import Recipe

    for row in Recipe.named(recipe).with_settings(settings).describe():
        value, allowed = str(row["value"]), row["allowed"] and f" ({row['allowed']})"
        parts = value.split(",") if len(value) > 16 else []     # a long value gets lines of its own
        click.echo(f"{row['name']:16}  {'' if parts else value:16}  {row['meaning']}{allowed}")
        for part in parts:
            click.echo(f"{'':16}  {part}")


@main.command(params=_options("recipe", "settings"))
@click.option("--list", "is_list", is_flag=True, help="Only say which weights the kit knows and which are here.")
def weights(recipe, settings, is_list):
    """Fetch the weights that a recipe needs, unless they are here; print folder, licence and checksums."""
    from .recipe import Recipe
    from .run import weights as table

    chosen = Recipe.named(recipe).with_settings(settings)
    if is_list:
        for release, _, _, find_local in table.TABLE:
            size = f"{release.size / 1e6:.0f} MB"
            place = str(find_local() or "not here")
            click.echo(f"{release.name:15}  {release.version:17}  {size:>5}  {release.licence:23}  {place}")
        return
    rows = table.needed(chosen)
    if not rows:
        click.echo("This recipe needs no weights.")
    for row in rows:
        click.echo("\n".join(table.describe(row.release, row.find())))


@main.command()
@click.argument("run", type=_FOLDER)
@click.argument("other", type=_FOLDER)
def compare(run, other):
    """Compare the validation accuracy of two runs, given as work folders, on the clips that both held out."""
    from .prediction.evaluation import compare_runs, read_out_of_fold

    comparison = compare_runs(read_out_of_fold(run), read_out_of_fold(other))
    accuracy, baseline, interval = (comparison[key] for key in ("accuracy", "baseline", "interval"))
    click.echo(f"{comparison['clips']} clips: {accuracy:.4f} in {run}, {baseline:.4f} in {other}")
    gain = f"{100 * (accuracy - baseline):+.1f} points"
    if interval:
        gain += (f", {interval['level']:.0%} interval over {interval['groups']} groups of songs: "
                 f"{100 * interval['low']:+.1f} to {100 * interval['high']:+.1f}")
    click.echo(gain)


@main.command("export-features")
@click.argument("array", type=_FOLDER)
@click.argument("folder", type=_FOLDER)
def export_features(array, folder):
    """Write features (ARRAY is features/train.npy or test.npy) as one {i}feature.npz per clip into FOLDER."""
    from .features import extraction, published

    published.export_features(extraction.load(array), folder)
    click.echo(folder)


@main.command("import-features", params=_options("data", "out", "recipe", "on_bad", "settings"))
@click.argument("folder", type=_FOLDER)
@click.argument("split", type=click.Choice(["train", "test"]))
def import_features(folder, split, data, out, recipe, on_bad, settings):
    """Read the features of a split from {i}feature.npz files in FOLDER instead of computing them.

    Import both splits, then run with --set separator=none --set classifiers= .
    """
    from .data.competition import find
    from .features.published import import_features as import_all
    from .run.parameters import read_parameters
    from .run.workspace import open_workspace
    from .vocals.clips import check_clips

    if any(setting.startswith("separator") for setting in settings):
        raise KitError("imported features need no separation. Leave --set separator=… out.")
    settings = [*settings, "separator=none", "classifiers="]
    given = read_parameters(data=data, out=out, recipe=recipe, settings=settings, on_bad=on_bad)
    work = open_workspace(given.data, given.out)
    chosen = work.recipe(recipe, settings=given.settings)
    train, test = check_clips(find(work.data), work.vocals, chosen, on_bad=on_bad)
    path = work.features / f"{split}.npy"
    import_all(folder, train if split == "train" else test, path, chosen)
    click.echo(path)
    click.echo("Import the other split in the same way, then run with --set separator=none --set classifiers= .")


for command in (*COMMANDS, kaggle):
    main.add_command(command)
for plugin in entry_points(group="snippetkit.commands"):
    with suppress(ModuleNotFoundError):     # the plugin's package was removed
        main.add_command(plugin.load())


if __name__ == "__main__":
    main(prog_name="python -m snippetkit")
