"""A page for a phone's browser: record or upload, and read which song it is, and who sings.

What is uploaded is deleted before its answer is shown; what is never asked about, after minutes. What an answer is made
of is `identify`'s and `who_sings`' business.
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
_SWEEP, _OLD = 60, 300  # seconds: how often it is looked for uploads that nobody asked about, and how old they may get
_INTRODUCTION = """# snippetkit
Record or upload some seconds of music, two minutes at most. Nothing is kept. (Browsers lend their microphone only to
pages that come by HTTPS or from this machine.)"""


def serve(network="", singers="", *, host="127.0.0.1", port=PORT, certificate="", key="", block=True):
    """Show the page until it is interrupted.

    Parameters
    ----------
    network : path-like
        A network that knows songs, as `identify.train` left it; empty: the page does not identify songs.
    singers : path-like
        The work folder of a run of the four notebooks; empty: the page does not tell who sings.
    host : str
        '0.0.0.0' lets the local network in.
    port : int
    certificate, key : path-like
        Of HTTPS, in PEM; without them a phone can upload, not record.
    block : bool
        False comes back at once, for notebooks; the page then lives as long as the process.

    Returns
    -------
    gradio.Blocks

    Raises
    ------
    KitError
        If neither network nor singers are given, one cannot be used, Gradio is not installed, a certificate is missing,
        or nothing can listen there.
    """
    gradio = _gradio()
    _check(host, port, certificate, key)
    # A folder of its own for what is uploaded, so that nothing of it is left when the process ends.
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
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))   # so that what is to be done at exit is done
        page.block_thread()
    return page


def _check(host, port, certificate, key):
    """Refuse what Gradio would only find out later, in other words."""
    for name, path in (("certificate", certificate), ("key", key)):
        if str(path) and not Path(path).is_file():
            raise KitError(f"there is no {name} {path}; give the PEM file, or leave --{name} out.")
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KitError(
            f"the page cannot listen on {host}:{port} ({reason}); choose another --host or --port."
        ) from error


def build(gradio, uploads, network="", singers=""):
    """The page itself: gradio.Blocks, for `serve`."""
    if not network and not singers:
        raise KitError(
            "the page needs a network that knows songs (--network), a run that tells who sings (--singers), or both."
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
                # the recorder is left alone: what it recorded may be on its way, and emptying it would lose that
                return [gradio.skip(), *_sentence("There is no recording yet: record or upload one first.", parts)]
            try:
                return [None, *(each for part in parts for each in part.answer(path))]
            except KitError as error:
                return [None, *_sentence(str(error), parts)]
            finally:
                forget(path, uploads)

        ask.click(answer, recording, shown, api_visibility="private")
    return page


def forget(path, uploads):
    """Delete an upload. A stranger's browser said where: anything but a file two folders down is left alone."""
    path = Path(path).resolve()
    if path.parent.parent == uploads and path.is_file():
        path.unlink()


def _sentence(sentence, parts):
    """In the place of the answers, with nothing below it."""
    return [_headline(sentence), None, None, None] * len(parts)


def _gradio():
    try:
        import gradio
    except ImportError:
        raise KitError("the page takes Gradio: pip install -r requirements-lab.txt") from None
    return gradio


def _headline(text):
    return f"<h3>{html.escape(text)}</h3>"


class _Songs:
    """Which song it is, as the page shows it."""

    question = "Which song is it?"

    def __init__(self, network):
        self._recogniser = Recogniser(network)

    def answer(self, path):
        recogniser = self._recogniser
        rate = recogniser.recipe.sample_rate
        signal = sound.load(path, sample_rate=rate, longest=_LONGEST, largest=_LARGEST)
        probabilities = recogniser.probabilities(signal)
        found = recogniser.concluded(probabilities)
        levels = recogniser.spectrogram.levels(signal)
        step = STEP * recogniser.recipe.hop / rate
        return (
            _headline(found.title), found.top,
            pictures.mixes([levels], ["what was heard"], seconds=len(signal) / rate),
            pictures.evolution(probabilities, recogniser.names, step=step),
        )


class _Singers:
    """Who sings, as the page shows it."""

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
            pictures.mixes([ensemble.levels(signal)], ["what was heard"], seconds=seconds),
            pictures.evolution(probabilities, CLASSES, step=ensemble.STEP),
        )
