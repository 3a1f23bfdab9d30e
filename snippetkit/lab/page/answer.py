"""The HTML of an answer: its name with percentage and colour, a timeline of the windows, and a player."""

import base64
import html
import io
from dataclasses import dataclass

import numpy as np
import soundfile

from ...figures.canvas import COLOURS

_OTHERS = "#BBBBBB"
_SHOWN = 5      # probabilities
STYLE = """
h2 { font-size: 1.1rem; font-weight: 600; margin: .5rem 0 }
section + section, .message + section { margin-top: 2rem }
p, li, figcaption { color: var(--body-text-color); overflow-wrap: anywhere }
.answer, .message { border-left: .6rem solid; padding: .2rem 0 .2rem 1rem; margin: 0 }
.answer { display: flex; flex-wrap: wrap; column-gap: 1.2rem }
.answer span { color: var(--body-text-color); font-size: clamp(1.8rem, 7vw, 2.8rem); line-height: 1.15 }
.answer .name { font-weight: 700 }
.note { margin: .6rem 0 }
ul { list-style: none; margin: .8rem 0; padding: 0 }
.shares li { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr) 3rem; gap: .6rem;
  align-items: center; max-width: 40rem }
.shares .share { text-align: right; font-variant-numeric: tabular-nums }
.bar { background: var(--border-color-primary); height: .7rem; border-radius: .35rem; overflow: hidden }
.bar i { display: block; height: 100% }
figure { margin: 1rem 0 }
.timeline { position: relative; display: flex; height: 3rem; cursor: pointer }
.playhead { position: absolute; left: 0; top: -.25rem; bottom: -.25rem; width: 3px; margin-left: -1px;
  background: var(--body-text-color); outline: 1px solid var(--body-background-fill) }
.ends { display: flex; justify-content: space-between; margin: .3rem 0 }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .3rem 0 }
.legend i { display: inline-block; width: .9em; height: .9em; margin-right: .4em; vertical-align: -.1em }
audio { width: 100%; margin-top: .4rem }
"""
# Media events do not bubble, so they are caught on their way down. A click on a timeline plays from there.
SCRIPT = """
element.addEventListener('timeupdate', ({target}) => element.querySelectorAll('.playhead').forEach(
  mark => { mark.style.left = `${100 * target.currentTime / target.duration}%` }), true)
element.addEventListener('click', event => {
  const line = event.target.closest('.timeline'), player = element.querySelector('audio')
  if (!line || !player) return
  const box = line.getBoundingClientRect()
  player.currentTime = player.duration * (event.clientX - box.left) / box.width
  player.play()
})
watch('value', () => props.value && element.scrollIntoView({block: 'nearest'}))
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one system says about a recording.

    Attributes
    ----------
    question, title : str
        The title is one of the names, or says that it is none of them.
    names : sequence of str
    probabilities : ndarray, shape (windows, names)
    step, window : float
        Seconds from one window to the next, and seconds of a window.
    seconds : float
        Of the recording.
    notes : sequence of str
        Sentences on what the answer is based on.
    """

    question: str
    title: str
    names: list
    probabilities: np.ndarray
    step: float
    window: float
    seconds: float
    notes: list = ()

    def html(self):
        """The answer as HTML, with a timeline if there are several windows."""
        mean = self.probabilities.mean(axis=0)
        ranks = np.argsort(-mean)
        colours = _colours(ranks)
        share = f"{mean[ranks[0]]:.0%}" if self.title == self.names[ranks[0]] else ""
        colour = colours[ranks[0]] if share else _OTHERS
        several = len(self.probabilities) > 1
        bars = [_bar(self.names[label], mean[label], colours[label]) for label in ranks[:_SHOWN]]
        return (
            f'<section><h2>{html.escape(self.question)}</h2><p class="answer" style="border-color:{colour}">'
            f'<span class="name">{html.escape(self.title)}</span> <span class="percentage">{share}</span></p>'
            + "".join(f'<p class="note">{html.escape(note)}</p>' for note in self.notes)
            + f'<ul class="shares" aria-label="Probabilities">{"".join(bars)}</ul>'
            + (self._timeline(ranks, colours) if several else "") + "</section>"
        )

    def values(self):
        """The answer as JSON values: ``answer``, ``top`` (name to mean probability), ``windows``, ``notes``."""
        mean, best = self.probabilities.mean(axis=0), self.probabilities.argmax(axis=1)
        return {
            "answer": self.title,
            "top": {self.names[label]: round(float(mean[label]), 4) for label in np.argsort(-mean)[:_SHOWN]},
            "windows": [
                {"start": self.step * i, "answer": self.names[label], "probability": round(float(row[label]), 4)}
                for i, (label, row) in enumerate(zip(best, self.probabilities))
            ],
            "notes": list(self.notes),
        }

    def _timeline(self, ranks, colours):
        best = self.probabilities.argmax(axis=1)
        # a window reaches half-way to the next one, the first and the last one to the ends of the recording
        inner = self.window / 2 + self.step * (np.arange(len(best) - 1) + 0.5)
        edges = np.array([0, *inner, max(self.seconds, inner[-1])])
        spoken = [f"{_clock(start)} to {_clock(end)} {self.names[label]}" for start, end, label in _runs(edges, best)]
        parts = [
            f'<i class="window" style="flex:{length:.3f};background:{colours.get(label, _OTHERS)}"></i>'
            for label, length in zip(best, np.diff(edges))
        ]
        legend = {self.names[label]: colours[label] for label in ranks if label in colours and label in best}
        if set(best) - set(colours):
            legend["others"] = _OTHERS
        items = "".join(f'<li><i style="background:{key}"></i>{html.escape(name)}</li>' for name, key in legend.items())
        return (
            f'<figure><div class="timeline" role="img" aria-label="{html.escape("; ".join(spoken))}">{"".join(parts)}'
            f'<span class="playhead"></span></div><div class="ends"><span>{_clock(0)}</span>'
            f'<span>{_clock(edges[-1])}</span></div><ul class="legend">{items}</ul>'
            f"<figcaption>The likeliest answer in each of {len(best)} windows of {self.window:.0f} seconds. The "
            "percentages are means over them. A click on the line plays from there.</figcaption></figure>"
        )


def player(samples, sample_rate, caption):
    """An audio player that contains the sound as MP3, so that it needs no file on the server.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
    sample_rate : int
        In Hz; one that MP3 knows.
    caption : str
    """
    sound = io.BytesIO()
    soundfile.write(sound, samples, sample_rate, format="MP3")
    caption, content = html.escape(caption), base64.b64encode(sound.getvalue()).decode()
    return (
        f'<figure><figcaption>{caption}</figcaption><audio controls aria-label="{caption}" '
        f'src="data:audio/mpeg;base64,{content}"></audio></figure>'
    )


def message(text, question=""):
    """A sentence instead of an answer, as HTML."""
    heading = f"<h2>{html.escape(question)}</h2>" if question else ""
    return f'{heading}<p role="alert" class="message" style="border-color:{COLOURS[2]}">{html.escape(text)}</p>'


def _colours(ranks):
    """Colour of each class; where there are more classes than colours, the likeliest ones get them."""
    if len(ranks) <= len(COLOURS):
        return dict(zip(range(len(ranks)), COLOURS))
    return dict(zip(ranks[:_SHOWN].tolist(), COLOURS))


def _bar(name, share, colour):
    return (
        f'<li><span>{html.escape(name)}</span><span class="bar"><i style="width:{share:.1%};background:{colour}"></i>'
        f'</span><span class="share">{share:.0%}</span></li>'
    )


def _runs(edges, labels):
    """Start, end and label of each run of equal labels."""
    starts = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(labels)]
    return [(edges[start], edges[end], labels[start]) for start, end in zip(starts, starts[1:])]


def _clock(seconds):
    """Such as 1:05."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02}"
