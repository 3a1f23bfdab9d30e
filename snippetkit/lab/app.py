"""A page for the browser of a phone: record or upload music, and read which song it is and who sings.

A recording is deleted before its answer is shown. A recording without a question is deleted after some minutes.
"""

import atexit
import html
import os
import shutil
import signal
import socket
import sys
import tempfile
from functools import partial
from pathlib import Path

import click

from ..audio import recordings
from ..data.labels import CLASSES
from ..prediction.predictor import Predictor
from ..utils.errors import KitError
from . import pictures
from .identify.recogniser import Recogniser, conclude

_LIMITS = {"longest": 120.0, "largest": 20e6}   # seconds and bytes of a recording
_DELETE_CACHE = 60, 300     # seconds: how often old recordings are deleted, and at which age
_INTRODUCTION = """# snippetkit
Record or upload some seconds of music, two minutes at most. Nothing is kept. (Browsers give access to the microphone
only to pages that use HTTPS or come from this machine.)"""


def serve(network="", singers="", *, host="127.0.0.1", port=7860, certificate="", key="", block=True):
    """Serve the page until the process is interrupted.

    Parameters
    ----------
    network : path-like
        A trained song network, as from `recogniser.train`; empty: the page does not identify songs.
    singers : path-like
        The work folder of a run of the four notebooks; empty: the page does not tell who sings.
    host : str
        '0.0.0.0' makes the page reachable from the local network.
    port : int
    certificate, key : path-like
        For HTTPS, in PEM. A phone cannot record without HTTPS, only upload.
    block : bool
        False returns at once, for notebooks. The page then lives as long as the process.

    Returns
    -------
    gradio.Blocks

    Raises
    ------
    KitError
        If neither a network nor a run is given, one of them or the address cannot be used, or Gradio is not installed.
    """
    try:
        import gradio
    except ImportError:
        raise KitError("the page needs Gradio: pip install -r requirements-lab.txt") from None
    try:    # Gradio would try only after the networks are loaded
        socket.create_server((host, port)).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KitError(f"the page cannot use {host}:{port} ({reason}). Choose another --host or --port.") from error
    # Recordings go to a folder of this process, which is removed when the process ends.
    uploads = Path(tempfile.mkdtemp(prefix="snippetkit-")).resolve()
    atexit.register(shutil.rmtree, uploads, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    page = _build_page(gradio, uploads, network, singers)
    page.launch(
        server_name=host, server_port=port, max_file_size=int(_LIMITS["largest"]), share=False, quiet=True,
        show_error=True, prevent_thread_lock=True, ssl_certfile=str(certificate) or None, ssl_keyfile=str(key) or None,
        ssl_verify=not certificate,
    )
    click.echo(f"http{'s' if certificate else ''}://{host}:{port}" + (" (Ctrl-C ends it)" if block else ""))
    if block:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))   # so that the folder is removed
        page.block_thread()
    return page


def _build_page(gradio, uploads, network, singers):
    parts = {}
    if network:
        songs = Recogniser(network)
        parts["Which song is it?"] = partial(_answer, songs, songs.names, songs.step, songs.conclude)
    if singers:
        ensemble = Predictor(singers)
        parts["Who sings?"] = partial(_answer, ensemble, CLASSES, ensemble.STEP, partial(conclude, names=CLASSES))
    if not parts:
        raise KitError("the page needs a trained song network (--network), a run (--singers), or both.")
    with gradio.Blocks(title="snippetkit", analytics_enabled=False, delete_cache=_DELETE_CACHE) as page:
        gradio.Markdown(_INTRODUCTION)
        recording = gradio.Audio(sources=["microphone", "upload"], type="filepath", label="Recording")
        button = gradio.Button("Tell me", variant="primary")
        outputs = [recording]
        for question in parts:
            gradio.Markdown(f"## {question}")
            outputs += [
                gradio.HTML(), gradio.Label(num_top_classes=5, label="Probabilities", show_heading=False),
                gradio.Plot(show_label=False), gradio.Plot(show_label=False),
            ]

        def show_message(text):
            return [_headline(text), None, None, None] * len(parts)

        def answer(path):
            if path is None:
                # The recorder keeps its state: the recording may still be on its way and would be lost.
                return [gradio.skip(), *show_message("There is no recording yet: record or upload one first.")]
            try:
                return [None, *(value for part in parts.values() for value in part(path))]
            except KitError as error:
                return [None, *show_message(str(error))]
            finally:
                delete_upload(path, uploads)

        button.click(answer, recording, outputs, api_visibility="private")
    return page


def delete_upload(path, uploads):
    """Delete a recording. The browser gives the path, so only a file two folders below `uploads` is deleted."""
    path = Path(path).resolve()
    if path.parent.parent == uploads and path.is_file():
        path.unlink()


def _answer(system, names, step, conclusion, path):
    """The values of the four outputs, for a recording."""
    samples = recordings.load(path, **system.wanted, **_LIMITS)
    probabilities = system.probabilities(samples)
    title, top = conclusion(probabilities)
    seconds = len(samples) / system.wanted["sample_rate"]
    return (
        _headline(title), top,
        pictures.mixes([system.levels(samples)], ["the recording"], seconds=seconds),
        pictures.evolution(probabilities, names, step=step),
    )


def _headline(text):
    return f"<h3>{html.escape(text)}</h3>"
