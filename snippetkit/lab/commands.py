"""The lab's commands: which song is it, a page for the browser of a phone, and several labels per recording."""

import click

from ..utils.errors import KitError
from ..utils.paths import PathType
from ..utils.storage import write_table

_FOLDER, _FILE = PathType(), PathType(exists=True, dir_okay=False)
_NETWORK = click.option("--network", type=_FOLDER, help="Work folder of notebook 05, or one of its networks.")


@click.command()
@_NETWORK
@click.option("--singers", type=_FOLDER, help="Work folder of a run, to tell who sings.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0: reachable from the local network.")
@click.option("--port", default=7860, show_default=True)
@click.option("--certificate", type=_FILE, help="PEM file for HTTPS, which phones need to record.")
@click.option("--key", type=_FILE, help="PEM file of the certificate's key, if it is a separate file.")
@click.option("--share", is_flag=True, help="Ask Gradio for a public address; recordings then pass its server.")
def app(network, singers, host, port, certificate, key, share):
    """Serve a page that records from the browser: which song is it, and who sings."""
    from .identify.recogniser import find_network
    from .page.app import serve

    network = "" if singers and not network else find_network(network)
    serve(network, singers or "", host=host, port=port, certificate=certificate or "", key=key or "", share=share)


@click.command()
@click.argument("recording", type=_FOLDER)
@_NETWORK
@click.option("--songs", type=_FOLDER, help="Folder of songs for a fingerprint index, instead of a network.")
@click.option("--out", type=_FOLDER, default="identified.csv", show_default=True, help="Table for a folder.")
def identify(recording, network, songs, out):
    """Name the likeliest songs of RECORDING, or write a table for a folder of recordings.

    \b
    python -m snippetkit identify recording.m4a                    by a network of notebook 05
    python -m snippetkit identify recording.m4a --songs FOLDER     by a fingerprint index; nothing is trained
    """
    import pandas as pd

    from ..audio import recordings

    if network and songs:
        raise KitError("--network and --songs are two ways to identify a song. Choose one.")
    if recording.is_dir() and out.is_dir():
        raise KitError(f"{out} is a folder. Give the name of a table, such as {out / 'identified.csv'}.")
    identifier = _open_identifier(network, songs)

    def answer(path):
        return identifier.answer(recordings.load(path, **identifier.wanted, **recordings.LIMITS))

    if not recording.is_dir():
        click.echo(answer(recording).describe())
        return
    rows = []
    for path in recordings.recordings_in(recording):
        row = {"recording": path.name, "answer": "", "fault": ""}
        try:
            found = answer(path)
            row["answer"] = found.title
            for place, (name, score) in enumerate(found.top.items(), 1):
                row |= {f"song_{place}": name, f"{found.unit}_{place}": round(score, 4)}
        except KitError as error:
            row["fault"] = str(error)
        rows.append(row)
    write_table(out, pd.DataFrame(rows))
    click.echo(out)


def _open_identifier(network, songs):
    if songs:
        from .identify.folder import IndexedSongs

        return IndexedSongs(songs)
    from .identify.recogniser import Recogniser, find_network

    return Recogniser(find_network(network))


@click.command()
@click.argument("data", type=_FOLDER, required=False)
@click.option("--out", type=_FOLDER, help="Work folder. Default: runs/tags, or runs/tags-<name of the table>.")
@click.option("--recordings", type=_FOLDER, help="Folder that file names are relative to. Default: that of the table.")
@click.option("--columns", default="", help="Label columns, separated by commas. Default: all.")
@click.option("--top", default=0, type=click.IntRange(0), help="Keep only so many tags, the most frequent ones.")
@click.option("--seconds", default=0.0, type=click.FloatRange(0), help="Of a recording. Default: 29; 4 for the demo.")
@click.option("--folds", default=0, type=click.IntRange(0), help="One network per fold. Default: 5; 3 for the demo.")
@click.option("--model", default="cnn3", show_default=True, help="Such as cnn3 or resnet18.")
@click.option("--epochs", default=20, show_default=True)
@click.option("--max-hours", default=0.0, type=click.FloatRange(0), help="Time limit. Default: none.")
@click.option("--on-bad", default="fail", show_default=True, help="Missing or damaged recordings: fail or skip.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A recipe value; repeatable.")
def tags(data, out, recordings, columns, top, seconds, folds, model, epochs, max_hours, on_bad, settings):
    """Learn several labels per recording from the table DATA: tags, or columns of classes. Without DATA, a demo.

    \b
    python -m snippetkit tags                                                   the demo
    python -m snippetkit tags annotations_final.csv --top 50 --on-bad skip      MagnaTagATune
    """
    from ..utils.clock import Clock
    from ..utils.paths import runs_folder
    from .tags import demo
    from .tags.table import find_table, read_labels
    from .tags.training import SECONDS, tag_recipe, train

    is_demo = data is None
    out = out or runs_folder() / ("tags" if is_demo else f"tags-{data.stem}")
    recipe = tag_recipe(
        seconds=seconds or (demo.SECONDS if is_demo else SECONDS), folds=folds or (3 if is_demo else 5), model=model,
        epochs=epochs,
    ).with_settings(settings)
    table = demo.make(out / "demo") / "tags.csv" if is_demo else find_table(data)
    columns = [name.strip() for name in columns.split(",") if name.strip()]
    labels = read_labels(table, recordings=recordings or "", columns=columns, top=top)
    figures, finished = train(out, labels, recipe, on_bad=on_bad, clock=Clock(max_hours))
    if figures is not None:
        click.echo(figures.round(3).to_string(index=False, na_rep=""))
        click.echo(out / "out_of_fold.csv")
    if finished < recipe.members:
        click.echo(f"{finished} of {recipe.members} members are finished; run the same command again to go on.")


@click.command()
@click.argument("run", type=_FOLDER)
@click.option("--data", type=_FOLDER, help="The clips of RUN. Default: where RUN found them.")
@click.option("--out", type=_FOLDER, help="Work folder. Default: runs/student-<name of RUN>.")
@click.option("--model", default="resnet18", show_default=True, help="Such as resnet18, cnn3 or lab.crnn.")
@click.option("--epochs", default=12, show_default=True)
@click.option("--share", default=0.7, type=click.FloatRange(0, 1), show_default=True, help="Of RUN in a target.")
@click.option("--max-hours", default=0.0, type=click.FloatRange(0), help="Time limit. Default: none.")
def student(run, data, out, model, epochs, share, max_hours):
    """Distil the finished RUN into one small network on the mixture, as ONNX and with 8-bit integers."""
    from ..utils.clock import Clock
    from ..utils.paths import runs_folder
    from .singers.student import train

    out, clock = out or runs_folder() / f"student-{run.resolve().name}", Clock(max_hours)
    result, versions = train(run, out, model=model, epochs=epochs, data=data or "", share=share, clock=clock)
    low, high = result["interval"]["low"], result["interval"]["high"]
    click.echo(f"students, out-of-fold: {result['accuracy']:.3f} ({low:.3f} to {high:.3f})")
    click.echo(f"{run}, same clips: {result['teacher']:.3f}")
    click.echo(versions.round(3).to_string(index=False))
    click.echo(out / "student")
