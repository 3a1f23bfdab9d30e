"""Audio players, tables of settings and download links for notebooks."""

import base64
import html
from pathlib import Path

from IPython.display import HTML, Audio

# The type tables of some systems lack them.
_TYPES = {".mp3": "audio/mpeg", ".flac": "audio/flac", ".wav": "audio/wav"}


def players(clips, *, columns=4):
    """Show one audio player per clip, side by side, each with a title.

    Parameters
    ----------
    clips : dict
        Title to the path of a clip, or to a pair of samples, ndarray (samples,), and their sample rate in Hz.
    columns : int

    Returns
    -------
    IPython.display.HTML
        It contains the audio, so that a saved notebook plays it, too.
    """
    cells = [
        f'<figure style="margin:0 1em 1em 0"><figcaption>{html.escape(title)}</figcaption>{_player(clip)}</figure>'
        for title, clip in clips.items()
    ]
    layout = f"display:grid;grid-template-columns:repeat({columns},minmax(0,20em))"  # less on a narrow page
    return HTML(f'<div style="{layout}">{"".join(cells)}</div>')


def player_below(figure, picture, clip):
    """Show a picture over the time of a recording, and a player below it that moves a line along the picture.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Its first axis spans the recording.
    picture : IPython.display.Image
        The saved figure.
    clip
        As a value of `players`.

    Returns
    -------
    IPython.display.HTML
        It contains the picture and the audio.
    """
    figure.draw_without_rendering()     # the layout is computed when a figure is drawn
    box = figure.axes[0].get_position()
    image = base64.b64encode(picture.data).decode()
    script = (
        "const line = this.previousElementSibling.lastElementChild; line.style.left = "
        f"({100 * box.x0:.3f} + {100 * box.width:.3f} * this.currentTime / this.duration) + '%'"
    )
    line = f"position:absolute;top:0;bottom:0;left:{100 * box.x0:.3f}%;width:2px;background:#C00000"
    player = _player(clip).replace("<audio", f'<audio ontimeupdate="{script}"', 1)
    return HTML(
        '<div style="position:relative">'
        f'<img style="width:100%;max-width:none;margin:0" src="data:image/png;base64,{image}">'
        f'<span style="{line}"></span></div>{player}'
    )


def choices(values, *, columns=4):
    """Show names and values in a table that fits on the page.

    Parameters
    ----------
    values : dict
    columns : int
        Number of pairs side by side.

    Returns
    -------
    IPython.display.HTML
    """
    cells = [f"<td>{html.escape(name)}</td><td><b>{html.escape(str(value))}</b></td>" for name, value in values.items()]
    rows = ["".join(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return HTML(f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>")


def download_link(path, *, type="text/csv"):
    """Show a link that downloads a small file.

    The link contains the file, because a path means different things in JupyterLab and on Kaggle, and nothing in a
    notebook that was sent by mail.

    Parameters
    ----------
    path : path-like
    type : str
        MIME type.

    Returns
    -------
    IPython.display.HTML
    """
    path = Path(path)
    content = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(path.name)
    return HTML(f'<a download="{name}" href="data:{type};base64,{content}"><b>⬇ download {name}</b></a>')


def _player(clip):
    if isinstance(clip, tuple):
        player = Audio(clip[0], rate=clip[1], normalize=False)
    else:
        try:
            player = Audio(filename=clip, embed=True)
        except OSError as error:    # a bad test clip, which is predicted all the same
            return html.escape(f"cannot be read: {error.strerror}")
        player.mimetype = _TYPES.get(Path(clip).suffix.lower(), player.mimetype)
    return player._repr_html_().replace("<audio", '<audio style="width:100%"', 1)
