"""The lab's part of the command line: which song is it, and the page for a phone's browser."""

from pathlib import Path

import click

from ..utils.errors import KitError
from ..utils.storage import write_table

_FOLDER = click.Path(path_type=Path)
_NETWORK = click.option("--network", type=_FOLDER, help="Notebook 05's work folder, or one of its networks.")


@click.command()
@_NETWORK
@click.option("--singers", type=_FOLDER, help="The work folder of a run, to tell who sings.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets the local network in.")
@click.option("--port", default=7860, show_default=True)
@click.option("--certificate", type=_FOLDER, help="For HTTPS (PEM), by which phones lend their microphone.")
@click.option("--key", type=_FOLDER, help="The certificate's, unless it is in the same file.")
def app(network, singers, host, port, certificate, key):
    """Show a page that a browser can record into: which song is it, and who sings."""
    from .app import serve

    network = "" if singers and not network else _network(network)
    serve(network, singers or "", host=host, port=port, certificate=certificate or "", key=key or "")


@click.command()
@click.argument("recording", type=_FOLDER)
@_NETWORK
@click.option("--out", type=_FOLDER, default="identified.csv", show_default=True, help="Table for a folder.")
def identify(recording, network, out):
    """Name the five likeliest songs of RECORDING, or write a table for a folder of them."""
    import pandas as pd

    from . import sound
    from .identify.recogniser import Recogniser

    recogniser = Recogniser(_network(network))

    def answer(path):
        rate = recogniser.recipe.sample_rate
        return recogniser.answer(sound.load(path, sample_rate=rate, longest=sound.LONGEST, largest=sound.LARGEST))

    if not recording.is_dir():
        found = answer(recording)
        if found.is_unknown:
            click.echo(f"unknown song: none reaches {recogniser.threshold:.3f}; the likeliest are")
        for name, probability in found.top.items():
            click.echo(f"{probability:6.3f}  {name}")
        return
    rows = []
    for path in sound.recordings(recording):
        row = {"recording": path.name, "answer": "", "fault": ""}
        try:
            found = answer(path)
        except KitError as error:
            row["fault"] = str(error)
        else:
            row["answer"] = found.title
            for place, (name, probability) in enumerate(found.top.items(), 1):
                row |= {f"song_{place}": name, f"probability_{place}": round(probability, 4)}
        rows.append(row)
    write_table(out, pd.DataFrame(rows))
    click.echo(out)


def _network(folder):
    """The folder of a network: itself, or the best of a work folder of the notebook; None is its usual work folder."""
    from ..utils.paths import runs_folder
    from .identify.comparison import best_network

    folder = folder or runs_folder() / "identify"
    return folder if (folder / "songs.json").exists() else best_network(folder)
