"""The command line: `python -m snippetkit`. Each command hands its options to the kit and prints what came of it.

What a command needs is imported inside it, so that --help does not wait for torch.
"""

from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path

import click

from . import __version__
from .kaggle.commands import kaggle
from .utils.errors import KitError

_FOLDER = click.Path(path_type=Path)


class _Sentences(click.Group):
    """A fault that the person can mend is one sentence and exit status 1, not a traceback."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except KitError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main():
    """Who sings in a 3-second music snippet: no voice, one male voice, one female voice, or more than one."""


@main.command()
@click.option("--data", default="", help="Folder of the competition. Default: what Kaggle attached, else a demo.")
@click.option("--out", default="", help="Work folder. Default: Kaggle's, else runs/<name of the data folder>.")
@click.option("--recipe", default="published", show_default=True, help="published or best.")
@click.option("--members", default=0, help="Networks in the ensemble. Default: as the recipe says; 2 on the demo.")
@click.option("--epochs", default=0, help="Epochs of each. Default: as the recipe says; 9 on the demo.")
@click.option("--max-hours", default=0.0, type=click.FloatRange(min=0), help="Stop between epochs; on Kaggle: 11.")
@click.option("--on-bad", default="fail", show_default=True, help="Bad clips: fail, or skip (train clips only).")
@click.option("--weights", default="", help="Folder of Spleeter's weights. Default: those at hand, else a download.")
@click.option("--songs", default="", help="CSV id,song of your own. Default: songs are inferred from the sound.")
@click.option("--neighbours", default=0.0, type=click.FloatRange(0, 1), help="Share of its song in a clip's answer.")
@click.option("--beside", multiple=True, type=_FOLDER, help="Work folder of another run to average in; repeatable.")
@click.option("--cluster", default="", help="dask://host:port or ray://host:port, for features and members.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Another choice; repeatable.")
def run(data, out, recipe, members, epochs, max_hours, on_bad, weights, songs, neighbours, beside, cluster, settings):
    """Run the four notebooks: from clips to a submission. What is complete already is skipped."""
    from .run.pipeline import run as run_pipeline
    from .run.workspace import open_workspace

    workspace = open_workspace(data, out)
    outcome = run_pipeline(
        workspace, recipe=recipe, members=members, epochs=epochs, settings=" ".join(settings),
        max_hours=max_hours, on_bad=on_bad, weights=weights, songs=songs, neighbours=neighbours, cluster=cluster,
        beside=",".join(str(folder.resolve()) for folder in beside),
    )
    if outcome.report is not None:
        _print_result(workspace, outcome.report)
    if outcome.finished < outcome.wanted:
        click.echo(f"{outcome.finished} of {outcome.wanted} members are finished; run the same command again to go on.")


def _print_result(workspace, report):
    from .prediction.report import headline

    lines = {
        "submission": workspace.submission,
        "report": workspace.report,
        "figures": ", ".join(str(path) for path in sorted(workspace.figures.glob("*.png"))),
        "notebooks": workspace.notebooks,
        "validation accuracy": headline(report["validation"]),
    }
    if report["test"]:
        members = f"{report['members']} member{'s'[: report['members'] > 1]} averaged"
        lines["test accuracy"] = f"{report['test']['accuracy']:.4f} on {report['test']['clips']} clips, {members}"
    for name, value in lines.items():
        click.echo(f"{name:20} {value}")
    for note in report["notes"]:
        click.echo(f"note: {note}")


@main.command()
@click.argument("folder", type=_FOLDER)
@click.option("--seed", default=0, show_default=True)
def demo(folder, seed):
    """Make the demo competition in FOLDER."""
    from .data.demo import make

    click.echo(make(folder, seed=seed))


@main.command()
@click.argument("folder", type=_FOLDER)
def check(folder):
    """Look at every MP3 below FOLDER and list those that are no sound 3-second clips."""
    from .audio import find_faults
    from .data.competition import mp3s_below

    clips = mp3s_below(folder)
    faults = find_faults(clips)
    for fault in faults.values():
        click.echo(fault)
    if faults:
        raise click.ClickException(f"{len(faults)} of {len(clips)} clips are bad.")
    click.echo(f"all {len(clips)} clips are sound.")


@main.command()
@click.argument("text", type=_FOLDER)
@click.argument("archive", type=_FOLDER, required=False)
def labels(text, archive):
    """Turn the label file TEXT (a number a line) into ARCHIVE, by default train_label.npz beside it."""
    from .data.labels import read_labels, write_labels

    archive = archive or text.with_name("train_label.npz")
    write_labels(archive, read_labels(text))
    click.echo(archive)


@main.command()
@click.argument("data", type=_FOLDER)
@click.argument("folder", type=_FOLDER)
@click.option("--link", is_flag=True, help="Link to the clips instead of copying them.")
def sort(data, folder, link):
    """Put the train clips of DATA into FOLDER, one folder a class; the originals stay."""
    from .data.competition import find, sort_clips

    competition = find(data)
    sort_clips(competition.train, competition.labels, folder, link=link)
    click.echo(folder)


@main.command("sample-submission")
@click.argument("clips", type=_FOLDER)
@click.argument("table", type=_FOLDER)
def sample_submission(clips, table):
    """Write TABLE with a row for every clip in the folder CLIPS, all of category 1."""
    from .data.competition import clips_in
    from .data.submission import write_submission

    ids = list(clips_in(clips))
    write_submission(table, ids, [1] * len(ids))
    click.echo(table)


@main.command()
@click.argument("clips", type=_FOLDER, nargs=-1, required=True)
@click.option("--out", type=_FOLDER, default=".", show_default=True, help="Folder for the pictures.")
def figures(clips, out):
    """Draw waveform, spectrogram and features of each of the CLIPS."""
    from . import audio
    from . import figures as pictures

    names = [path.stem for path in clips]
    if len(set(names)) < len(names):
        raise KitError("two of the clips have the same name, as would their pictures; draw them one after the other.")
    for path in clips:
        target = out / f"{path.stem}.png"
        pictures.save(pictures.clip(audio.load(path), title=path.name), target)
        click.echo(target)


@main.command("compare-separators")
@click.argument("clip", type=_FOLDER)
@click.option("--weights", default="", help="As in run.")
def compare_separators(clip, weights):
    """Separate CLIP with the kit's network and with the Spleeter package, and say how far apart they are."""
    from .vocals.comparison import AGREEMENT
    from .vocals.comparison import compare_separators as compare_backends

    found = compare_backends(clip, weights)
    click.echo(f"weights          {found['weights']}")
    click.echo(f"mixture          {found['mixture']:6.1f} dBFS")
    click.echo(f"vocals, torch    {found['torch']:6.1f} dBFS")
    click.echo(f"vocals, spleeter {found['spleeter']:6.1f} dBFS")
    click.echo(f"SNR              {found['snr']:6.1f} dB, of spleeter's vocals to torch's deviation from them")
    if found["snr"] < AGREEMENT:
        raise click.ClickException(f"the two differ by more than rounding: {AGREEMENT} dB or more were expected.")


@main.command()
@click.argument("ours", type=_FOLDER)
@click.argument("theirs", type=_FOLDER)
def compare(ours, theirs):
    """How much more accurate the run in the work folder OURS is than that in THEIRS, on the clips both held out."""
    from .prediction.evaluation import compare_runs, read_out_of_fold

    found = compare_runs(read_out_of_fold(ours), read_out_of_fold(theirs))
    click.echo(f"{found['clips']} clips: {found['ours']:.4f} here, {found['theirs']:.4f} there")
    gain = f"{100 * (found['ours'] - found['theirs']):+.1f} points"
    if around := found["interval"]:
        gain += (f", {around['level']:.0%} interval over {around['groups']} groups of songs: "
                 f"{100 * around['low']:+.1f} to {100 * around['high']:+.1f}")
    click.echo(gain)


@main.command("export-features")
@click.argument("array", type=_FOLDER)
@click.argument("folder", type=_FOLDER)
def export_features(array, folder):
    """Write features (ARRAY is features/train.npy or test.npy) as one {i}feature.npz a clip into FOLDER."""
    from .features.extraction import load
    from .features.published import export_features as export_all

    export_all(load(array), folder)
    click.echo(folder)


@main.command("import-features")
@click.argument("folder", type=_FOLDER)
@click.argument("split", type=click.Choice(["train", "test"]))
@click.option("--data", default="", help="As in run.")
@click.option("--out", default="", help="As in run.")
@click.option("--recipe", default="published", show_default=True, help="As in run.")
@click.option("--on-bad", default="fail", show_default=True, help="As in run.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="As in run.")
def import_features(folder, split, data, out, recipe, on_bad, settings):
    """Take features from the {i}feature.npz files in FOLDER instead of computing them.

    Nothing is left to separate then: go on with run --set separator=none.
    """
    from .data.competition import find
    from .features.published import import_features as import_all
    from .run.workspace import open_workspace
    from .vocals.clips import check_clips

    if any(each.startswith("separator") for each in settings):
        raise KitError("where features are imported nothing is separated: leave --set separator=… out.")
    workspace = open_workspace(data, out)
    chosen = workspace.recipe(recipe, settings=" ".join([*settings, "separator=none"]))
    train, test = check_clips(find(workspace.data), workspace.vocals, chosen, on_bad=on_bad)
    path = workspace.features / f"{split}.npy"
    import_all(folder, train if split == "train" else test, path, chosen)
    click.echo(path)
    click.echo("Import the other split likewise; then nothing is left to separate: run with --set separator=none.")


main.add_command(kaggle)
for plugin in entry_points(group="snippetkit.commands"):
    with suppress(ModuleNotFoundError):     # of a package that was removed: the core does not need it
        main.add_command(plugin.load())


if __name__ == "__main__":
    main(prog_name="python -m snippetkit")
