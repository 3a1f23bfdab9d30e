"""The lab's commands: which song is it, and a page for the browser of a phone."""

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
    from .app import serve
    from .identify.recogniser import find_network

    network = "" if singers and not network else find_network(network)
    serve(network, singers or "", host=host, port=port, certificate=certificate or "", key=key or "", share=share)


@click.command()
@click.argument("recording", type=_FOLDER)
@_NETWORK
@click.option("--out", type=_FOLDER, default="identified.csv", show_default=True, help="Table for a folder.")
def identify(recording, network, out):
    """Name the five likeliest songs of RECORDING, or write a table for a folder of recordings."""
    import pandas as pd

    from ..audio import recordings
    from .identify.recogniser import UNKNOWN, Recogniser, find_network

    if recording.is_dir() and out.is_dir():
        raise KitError(f"{out} is a folder. Give the name of a table, such as {out / 'identified.csv'}.")
    recogniser = Recogniser(find_network(network))

    def answer(path):
        signal = recordings.load(path, **recogniser.wanted, **recordings.LIMITS)
        return recogniser.conclude(recogniser.probabilities(signal))

    if not recording.is_dir():
        title, top = answer(recording)
        if title == UNKNOWN:
            click.echo(f"unknown song: no probability reaches {recogniser.threshold:.3f}; the likeliest songs are")
        for name, probability in top.items():
            click.echo(f"{probability:6.3f}  {name}")
        return
    rows = []
    for path in recordings.recordings_in(recording):
        row = {"recording": path.name, "answer": "", "fault": ""}
        try:
            row["answer"], top = answer(path)
            for place, (name, probability) in enumerate(top.items(), 1):
                row |= {f"song_{place}": name, f"probability_{place}": round(probability, 4)}
        except KitError as error:
            row["fault"] = str(error)
        rows.append(row)
    write_table(out, pd.DataFrame(rows))
    click.echo(out)
