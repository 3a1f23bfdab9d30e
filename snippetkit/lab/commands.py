"""The lab's commands: identify a song, and the page for a browser."""

from pathlib import Path

import click

from ..utils.errors import KitError
from ..utils.storage import write_table

_FOLDER = click.Path(path_type=Path)
_NETWORK = click.option("--network", type=_FOLDER, help="Work folder of notebook 05, or one of its networks.")


@click.command()
@_NETWORK
@click.option("--singers", type=_FOLDER, help="Work folder of a run, to classify who sings.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0: reachable from the local network.")
@click.option("--port", default=7860, show_default=True)
@click.option("--certificate", type=_FOLDER, help="For HTTPS (PEM), which phones need to record.")
@click.option("--key", type=_FOLDER, help="Key of the certificate, unless it is in the same file.")
def app(network, singers, host, port, certificate, key):
    """Show a page that records in a browser: which song is it, and who sings."""
    from .app import serve

    network = "" if singers and not network else _network(network)
    serve(network, singers or "", host=host, port=port, certificate=certificate or "", key=key or "")


@click.command()
@click.argument("recording", type=_FOLDER)
@_NETWORK
@click.option("--out", type=_FOLDER, default="identified.csv", show_default=True, help="Table for a folder.")
def identify(recording, network, out):
    """Name the five most probable songs of RECORDING, or write a table for a folder of recordings."""
    import pandas as pd

    from . import sound
    from .identify.recogniser import Recogniser

    recogniser = Recogniser(_network(network))

    def answer(path):
        rate = recogniser.recipe.sample_rate
        return recogniser.answer(sound.load(path, sample_rate=rate, longest=sound.LONGEST, largest=sound.LARGEST))

    if not recording.is_dir():
        result = answer(recording)
        if result.is_unknown:
            click.echo(f"unknown song: no probability reaches {recogniser.threshold:.3f}; the highest are")
        for name, probability in result.top.items():
            click.echo(f"{probability:6.3f}  {name}")
        return
    rows = []
    for path in sound.recordings(recording):
        row = {"recording": path.name, "answer": "", "fault": ""}
        try:
            result = answer(path)
        except KitError as error:
            row["fault"] = str(error)
        else:
            row["answer"] = result.title
            for place, (name, probability) in enumerate(result.top.items(), 1):
                row |= {f"song_{place}": name, f"probability_{place}": round(probability, 4)}
        rows.append(row)
    write_table(out, pd.DataFrame(rows))
    click.echo(out)


def _network(folder):
    """The folder of a network: itself, or the best one of a work folder; None: the default work folder."""
    from ..utils.paths import runs_folder
    from .identify.comparison import best_network

    folder = folder or runs_folder() / "identify"
    return folder if (folder / "songs.json").exists() else best_network(folder)
