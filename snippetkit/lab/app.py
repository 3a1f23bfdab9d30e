"""A page for a browser: record or upload, and read which song it is and who sings.

An upload is deleted before its answer is shown; one without a request is deleted after some minutes.
"""

import atexit
import html
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

from ..data.labels import CLASSES
from ..utils.errors import KitError
from . import pictures, sound
from .identify.recogniser import STEP, Recogniser
from .singers.who_sings import WhoSings

PORT = 7860
_LONGEST = 120.0        # seconds
_LARGEST = 20e6         # bytes
_SWEEP, _OLD = 60, 300  # seconds: interval and age at which unused uploads are deleted
_INTRODUCTION = """# snippetkit
Record or upload some seconds of music, at most two minutes. Nothing is kept. (Browsers allow recording only on HTTPS
pages and on pages of this machine.)"""


def serve(network="", singers="", *, host="127.0.0.1", port=PORT, certificate="", key="", block=True):
    """Show the page until it is interrupted.

    Parameters
    ----------
    network : path-like
        A network from `recogniser.train`; empty: the page does not identify songs.
    singers : path-like
        The work folder of a run of the four notebooks; empty: the page does not classify singers.
    host : str
        '0.0.0.0' makes the page reachable from the local network.
    port : int
    certificate, key : path-like
        For HTTPS, in PEM; without them a phone can upload but not record.
    block : bool
        False returns at once, for notebooks; the page then runs as long as the process.

    Returns
    -------
    gradio.Blocks

    Raises
    ------
    KitError
        If neither network nor singers are given, one is unusable, Gradio is not installed, a certificate is missing, or
        the address cannot be used.
    """
    gradio = _gradio()
    _check(host, port, certificate, key)
    # Uploads get a folder of their own, which is deleted when the process ends.
    uploads = Path(tempfile.mkdtemp(prefix="snippetkit-")).resolve()
    atexit.register(shutil.rmtree, uploads, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    page = build(gradio, uploads, network, singers)
    scheme = "https" if certificate else "http"
    secure = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key) or None, "ssl_verify": False}
    page.launch(
        server_name=host, server_port=port, max_file_size=int(_LARGEST), share=False, quiet=True, show_error=True,
        prevent_thread_lock=True, **(secure if certificate else {}),
    )
    print(f"{scheme}://{host}:{port}" + (" (Ctrl-C ends it)" if block else ""), flush=True)
    if block:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))   # so that exit handlers run
        page.block_thread()
    return page


def _check(host, port, certificate, key):
    """Report what Gradio would only report later, less clearly."""
    for name, path in (("certificate", certificate), ("key", key)):
        if str(path) and not Path(path).is_file():
            raise KitError(f"there is no {name} {path}. Give the PEM file, or leave --{name} out.")
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KitError(
            f"the page cannot listen on {host}:{port} ({reason}). Choose another --host or --port."
        ) from error


def build(gradio, uploads, network="", singers=""):
    """The page itself: gradio.Blocks, for `serve`."""
    if not network and not singers:
        raise KitError(
            "the page needs a network that knows songs (--network), a finished run (--singers), or both."
        )
    parts = ([_Songs(network)] if network else []) + ([_Singers(singers)] if singers else [])
    with gradio.Blocks(title="snippetkit", analytics_enabled=False, delete_cache=(_SWEEP, _OLD)) as page:
        gradio.Markdown(_INTRODUCTION)
        recording = gradio.Audio(sources=["microphone", "upload"], type="filepath", label="Recording")
        ask = gradio.Button("Tell me", variant="primary")
        shown = [recording]
        for part in parts:
            gradio.Markdown(f"## {part.question}")
            shown += [
                gradio.HTML(), gradio.Label(num_top_classes=5, label="Probabilities", show_heading=False),
                gradio.Plot(show_label=False), gradio.Plot(show_label=False),
            ]

        def answer(path):
            if path is None:
                # the recorder is not cleared: a recording may still be arriving
                return [gradio.skip(), *_sentence("There is no recording yet. Record or upload one first.", parts)]
            try:
                return [None, *(output for part in parts for output in part.answer(path))]
            except KitError as error:
                return [None, *_sentence(str(error), parts)]
            finally:
                forget(path, uploads)

        ask.click(answer, recording, shown, api_visibility="private")
    return page


def forget(path, uploads):
    """Delete an upload. The path comes from a browser, so only files two folders below `uploads` are deleted."""
    path = Path(path).resolve()
    if path.parent.parent == uploads and path.is_file():
        path.unlink()


def _sentence(sentence, parts):
    """A message in place of the answers."""
    return [_headline(sentence), None, None, None] * len(parts)


def _gradio():
    try:
        import gradio
    except ImportError:
        raise KitError("the page needs Gradio: pip install -r requirements-lab.txt") from None
    return gradio


def _headline(text):
    return f"<h3>{html.escape(text)}</h3>"


class _Songs:
    """The part of the page that identifies songs."""

    question = "Which song is it?"

    def __init__(self, network):
        self._recogniser = Recogniser(network)

    def answer(self, path):
        recogniser = self._recogniser
        rate = recogniser.recipe.sample_rate
        signal = sound.load(path, sample_rate=rate, longest=_LONGEST, largest=_LARGEST)
        probabilities = recogniser.probabilities(signal)
        answer = recogniser.concluded(probabilities)
        levels = recogniser.spectrogram.levels(signal)
        step = STEP * recogniser.recipe.hop / rate
        return (
            _headline(answer.title), answer.top,
            pictures.mixes([levels], ["recording"], seconds=len(signal) / rate),
            pictures.evolution(probabilities, recogniser.names, step=step),
        )


class _Singers:
    """The part of the page that classifies singers."""

    question = "Who sings?"

    def __init__(self, folder):
        self._ensemble = WhoSings(folder)

    def answer(self, path):
        ensemble = self._ensemble
        signal = sound.load(path, longest=_LONGEST, largest=_LARGEST, **ensemble.wanted)
        probabilities = ensemble.probabilities(signal)
        mean = dict(zip(CLASSES, probabilities.mean(axis=0).tolist()))
        seconds = len(signal) / ensemble.wanted["sample_rate"]
        return (
            _headline(max(mean, key=mean.get)), mean,
            pictures.mixes([ensemble.levels(signal)], ["recording"], seconds=seconds),
            pictures.evolution(probabilities, CLASSES, step=ensemble.STEP),
        )
