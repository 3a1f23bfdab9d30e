"""A page for the browser of a phone: upload or record music, and read which song it is and who sings.

A recording is deleted from the server before its answer is shown; the answer contains the sound for its player. A
recording without an answer is deleted after some minutes.
"""

import atexit
import os
import shutil
import signal
import socket
import sys
import tempfile
from functools import partial
from pathlib import Path

import click

from ...audio import recordings
from ...utils.errors import KitError
from .answer import SCRIPT, STYLE, message, player
from .systems import LIMITS, WHICH_SONG, WHO_SINGS, examples, open_systems

_DELETE_CACHE = 60, 300     # seconds: how often old recordings are deleted, and at which age
_PLAYED = 44_100            # Hz
_INTRODUCTION = """# {title}
Upload some seconds of music, or a song of two minutes at most. The server deletes a recording before it shows the
answer."""
_ENDPOINTS = {WHO_SINGS: "who_sings", WHICH_SONG: "identify"}   # of the HTTP API
# Browsers give access to the microphone only to pages that use HTTPS or come from this machine.
_HAS_MICROPHONE = """async () => {
  const devices = await navigator.mediaDevices?.enumerateDevices() ?? []
  return devices.some(device => device.kind === 'audioinput')
}"""


def serve(network="", singers="", *, host="127.0.0.1", port=7860, certificate="", key="", share=False, block=True):
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
    share : bool
        Ask Gradio for a public address; its server then sees every recording.
    block : bool
        False returns at once, for notebooks. The page then lives as long as the process.

    Returns
    -------
    gradio.Blocks

    Raises
    ------
    KitError
        If neither a network nor a run is given, one of them or the address cannot be used, Gradio is not installed, or
        gives no public address.
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
    systems = open_systems(network, singers)
    page = _build_page(gradio, uploads, systems, examples(singers) if singers else {})
    page.launch(
        server_name=host, server_port=port, max_file_size=int(LIMITS["largest"]), share=share, quiet=True,
        show_error=True, prevent_thread_lock=True, ssl_certfile=str(certificate) or None, ssl_keyfile=str(key) or None,
        ssl_verify=not certificate, footer_links=[],
    )
    if share and not page.share_url:
        raise KitError("Gradio gave no public address. Is there a network? Without --share the page needs none.")
    addresses = [f"http{'s' if certificate else ''}://{name}:{port}" for name in reachable_names(host)]
    addresses += [page.share_url] if share else []
    click.echo(", also ".join(addresses) + (" (Ctrl-C ends it)" if block else ""))
    if block:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))   # so that the folder is removed
        page.block_thread()
    return page


def reachable_names(host):
    """Names under which a browser finds a server at `host`: its own, or all of them if it is '0.0.0.0'."""
    if host != "0.0.0.0":
        return [host]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))     # sends nothing, but chooses this machine's address
            own = probe.getsockname()[0]
        except OSError:     # there is no network
            own = "127.0.0.1"
    return list(dict.fromkeys(["127.0.0.1", own]))


def _build_page(gradio, uploads, systems, examples):
    def answer(path):
        if path is None:    # the change when an answered recording is removed
            yield gradio.skip(), gradio.skip()
            return
        try:
            yield gradio.skip(), ""     # an old answer disappears at once
            text = _answer(systems, path, Path(path).name)
        finally:
            delete_upload(path, uploads)
        yield None, text

    def answer_example(index):
        yield ""
        caption, path = list(examples.items())[index]
        yield _answer(systems, path, caption)

    with gradio.Blocks(title="snippetkit", analytics_enabled=False, delete_cache=_DELETE_CACHE) as page:
        gradio.Markdown(_INTRODUCTION.format(title=" ".join(systems)))
        with gradio.Tab("Upload a file"):
            upload = gradio.Audio(sources=["upload"], type="filepath", label="Music file")
        with gradio.Tab("Use the microphone", visible=False) as tab:
            microphone = gradio.Audio(sources=["microphone"], type="filepath", label="Microphone")
        if examples:
            clips = gradio.Dataset(
                components=["textbox"], samples=[[caption] for caption in examples], type="index",
                label="Or try a test clip of the run", samples_per_page=12,
            )
        output = gradio.HTML(
            "", html_template='<div aria-live="polite">${value}</div>', css_template=STYLE, js_on_load=SCRIPT,
        )
        private = {"api_visibility": "private", "show_progress_on": output}
        for recording in (upload, microphone):
            recording.change(answer, recording, [recording, output], **private)
        if examples:
            clips.click(answer_example, clips, output, **private)
        for question, ask in systems.items():
            sound, found = gradio.Audio(type="filepath", visible=False), gradio.JSON(visible=False)
            gradio.Button(visible=False).click(
                partial(_tell, ask, question, uploads), sound, found, api_name=_ENDPOINTS[question],
                api_description=f"{question} The answer, at most five probabilities, and the windows of a recording.",
            )
        has_microphone = gradio.Checkbox(visible=False)
        page.load(
            lambda has: gradio.Tab(visible=has), has_microphone, tab, js=_HAS_MICROPHONE, api_visibility="private",
        )
    return page


def delete_upload(path, uploads):
    """Delete a recording. The browser gives the path, so only a file two folders below `uploads` is deleted."""
    path = Path(path).resolve()
    if path.parent.parent == uploads and path.is_file():
        path.unlink()


def _tell(ask, question, uploads, path):
    """What one system says about a recording, as JSON values, for the HTTP API."""
    try:
        if path is None:
            raise KitError("there is no recording: send a file.")
        seconds = len(recordings.load(path, sample_rate=_PLAYED, silent=True, **LIMITS)) / _PLAYED
        return ask(path, question=question, seconds=seconds).values()
    except KitError as error:
        return {"error": str(error)}
    finally:
        delete_upload(path or "", uploads)


def _answer(systems, path, caption):
    """What all systems say about a recording, and its player, as HTML."""
    try:
        sound = recordings.load(path, sample_rate=_PLAYED, silent=True, **LIMITS)
    except KitError as error:
        return message(str(error))
    parts = []
    for question, ask in systems.items():
        try:
            parts.append(ask(path, question=question, seconds=len(sound) / _PLAYED).html())
        except KitError as error:
            parts.append(message(str(error), question))
    return "".join(parts) + player(sound, _PLAYED, caption)
