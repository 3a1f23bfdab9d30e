"""The fingerprint index on whole songs: python tests/benchmarks/fingerprints.py DATA [--sizes 100,1000,2000].

DATA has the folders songs and noise, as for notebook 05. The tests, their recordings, noises and simulated phone are
those of the networks in the table of snippetkit/lab/README.md: four songs are kept back, 20 fragments of each song.

Larger indexes hold random peak sets besides the songs: 150 s each, with as many peaks per second as the songs have on
average, at uniformly random frames, and with bins that are drawn from those of the songs. Only the query and its
answers are measured there. Times are CPU times of one process, so that other work does not count.
"""

import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from side_by_side import markdown

from snippetkit.audio.recordings import recordings_in
from snippetkit.lab.identify import evaluation
from snippetkit.lab.identify.answers import UNKNOWN
from snippetkit.lab.identify.collection import load_songs
from snippetkit.lab.identify.folder import IndexedSongs
from snippetkit.lab.identify.fragments import NoisyFragments
from snippetkit.lab.identify.index import SAMPLE_RATE, FingerprintIndex, find_peaks
from snippetkit.lab.identify.recogniser import song_recipe
from snippetkit.lab.identify.untrained import IndexRecogniser
from snippetkit.utils.hardware import Device

CPU = Device("cpu", "CPU", "fp32")
_SECONDS, _FRAMES = 150, 150 * SAMPLE_RATE // 512       # of a random peak set


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--unknown", default=4, show_default=True, help="Number of songs that are kept back.")
@click.option("--count", default=20, show_default=True, help="Fragments of each song.")
@click.option("--sizes", default="100,1000,2000", show_default=True, help="Numbers of songs of larger indexes.")
@click.option("--tests/--no-tests", default=True, help="Whether to take the tests of the networks.")
def main(data, unknown, count, sizes, tests):
    songs = load_songs(data / "songs", data / "noise", song_recipe(), unknown=unknown)
    if tests:
        _take_tests(songs, count)
    _identify(data / "songs", songs)
    _measure_growth(songs, [int(size) for size in sizes.split(",") if size])


def _take_tests(songs, count):
    """The three tests, accuracy at fixed signal-to-noise ratios, and known against unknown songs by score."""
    with tempfile.TemporaryDirectory() as folder:
        recogniser = IndexRecogniser(songs, song_recipe(), folder)
        tests, curve = recogniser.evaluate(count), recogniser.accuracy_by_snr(count)
        unknown = evaluation.compare_unknown(folder, {"index": recogniser}, songs, count // 2)
    columns = ("test", "accuracy", "top5", "precision", "auc")
    _show(columns, ([row[name] for name in columns] for _, row in tests.iterrows()))
    _show(("SNR, dB", *curve["snr"]), [("accuracy", *curve["accuracy"]), ("top5", *curve["top5"])])
    _show(unknown.columns, unknown.to_numpy())


def _identify(folder, songs):
    """What `identify --songs` answers about recordings of 20 s by phone, and about their first five seconds."""
    with tempfile.TemporaryDirectory() as name:
        known = Path(name, "songs")
        known.mkdir()
        for path in recordings_in(folder):
            if path.stem in songs.names:
                (known / path.name).symlink_to(path.resolve())
        index, rows = IndexedSongs(known, Path(name, "index.npz")), []
        for of, count in (("known songs", 4), ("unknown songs", 8)):
            sounds = songs.sounds(song_recipe(), CPU, test=True, unknown=of == "unknown songs")
            titles = [UNKNOWN] if of == "unknown songs" else songs.names
            made = evaluation.make_recordings(sounds, songs.mix, count, seed=11)
            answers = [index.answer(recording) for recording in made]
            truth = [title for title in titles for _ in range(len(answers) // len(titles))]
            first, last = [answer.over_time[0][1] for answer in answers], [answer.title for answer in answers]
            for seconds, given in ((5, first), (20, last)):
                right = np.mean([title == true for title, true in zip(given, truth)])
                wrong = np.mean([title not in (true, UNKNOWN) for title, true in zip(given, truth)])
                rows.append((of, len(answers), seconds, float(right), float(wrong)))
    _show(("recordings of", "count", "s", "right", "wrong song"), rows)


def _measure_growth(songs, sizes):
    """Add all songs, then random peak sets, and query each size with the same recordings."""
    index, peaks, seconds = FingerprintIndex(), [], []
    unknown = {f"unknown {i}": song for i, song in enumerate(songs.unknown)}
    for name, song in (dict(zip(songs.names, songs.songs)) | unknown).items():
        start = time.process_time()
        index.add(name, song)
        seconds.append(time.process_time() - start)
        peaks.append(find_peaks(song)[1])
    whole = sum(map(len, [*songs.songs, *songs.unknown])) / SAMPLE_RATE
    click.echo(
        f"{len(index)} songs of {whole / len(index):.0f} s on average: {statistics.median(seconds):.2g} s to add one "
        f"(median), {index.nbytes / len(index) / 1e3:.0f} kB a song, {index.nbytes / whole:.0f} bytes a second\n"
    )
    bins, rng, rows = np.concatenate(peaks), np.random.default_rng(0), []
    queries = _queries(songs)
    for size in [len(index), *sizes]:
        while len(index) < size:
            times = np.sort(rng.integers(0, _FRAMES, round(len(bins) / whole * _SECONDS)))
            index.add_peaks(f"random {len(index)}", times, rng.choice(bins, len(times)), frames_in_all=_FRAMES)
        start = time.process_time()
        memory = index.nbytes       # sorts what was added
        sorting, cells = time.process_time() - start, []
        for recordings in queries:
            answers, start = [], time.process_time()
            for recording in recordings:
                answers.append(index.query(recording)[0].name)
            each = 1000 * (time.process_time() - start) / len(recordings)
            cells += [f"{each:.0f}", f"{np.mean([a == name for a, name in zip(answers, songs.names)]):.2f}"]
        rows.append((size, f"{memory / 1e6:.0f}", f"{sorting:.1f}", *cells))
    columns = "songs", "MB", "s to sort", "ms, query of 5 s", "top1", "ms, query of 20 s by phone", "top1"
    click.echo(markdown(columns, rows))


def _queries(songs):
    """One fragment of 5 s and one recording of 20 s by phone of each song."""
    sounds = songs.sounds(song_recipe(), CPU, test=True)
    signals, _, _ = next(NoisyFragments(sounds, 1, mix=songs.mix, seed=5).mixes(len(songs.songs)))
    return list(signals.numpy()), list(evaluation.make_recordings(sounds, songs.mix, 1, seed=5))


def _show(columns, rows):
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row] for row in rows]
    click.echo(markdown(columns, cells) + "\n")


if __name__ == "__main__":
    main()
