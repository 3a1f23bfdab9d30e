"""A folder in exactly FMA's format, with a handful of short synthetic recordings."""

import csv

import numpy as np
import soundfile

from snippetkit.data.synthesis.music import RATE
from snippetkit.lab.genres import bands

# Columns of tracks.csv, as FMA publishes them.
TRACKS = {
    "album": ("comments date_created date_released engineer favorites id information listens producer tags title "
              "tracks type"),
    "artist": ("active_year_begin active_year_end associated_labels bio comments date_created favorites id latitude "
               "location longitude members name related_projects tags website wikipedia_page"),
    "set": "split subset",
    "track": ("bit_rate comments composer date_created date_recorded duration favorites genre_top genres genres_all "
              "information interest language_code license listens lyricist number publisher tags title"),
}

# Rows of each feature in features.csv, and their statistics, as FMA publishes them: both in alphabetical order.
FEATURES = {
    "chroma_cens": 12, "chroma_cqt": 12, "chroma_stft": 12, "mfcc": 20, "rmse": 1, "spectral_bandwidth": 1,
    "spectral_centroid": 1, "spectral_contrast": 7, "spectral_rolloff": 1, "tonnetz": 6, "zcr": 1,
}
STATISTICS = ("kurtosis", "max", "mean", "median", "min", "skew", "std")
COLUMNS = [(feature, statistic, f"{number:02d}") for feature, rows in FEATURES.items() for statistic in STATISTICS
           for number in range(1, rows + 1)]


def write_tracks(path, tracks):
    """Write tracks.csv. `tracks` maps a number to artist id, split, subset and genre_top."""
    header = [(table, column) for table, columns in TRACKS.items() for column in columns.split()]
    with open(path, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerows(["", *names] for names in zip(*header))
        lines.writerow(["track_id", *[""] * len(header)])
        for track, (artist, split, subset, genre) in tracks.items():
            values = {("artist", "id"): artist, ("set", "split"): split, ("set", "subset"): subset,
                      ("track", "genre_top"): genre, ("artist", "bio"): '<p>"Ann", a singer,\nand others</p>',
                      ("track", "genres"): "[21, 45]", ("track", "title"): f"Piece {track}"}
            lines.writerow([track, *(values.get(name, "") for name in header)])


def write_features(path, numbers, columns=COLUMNS):
    """Write features.csv. `numbers` maps the number of a track to 518 values."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerows([name, *names] for name, names in zip(("feature", "statistics", "number"), zip(*columns)))
        lines.writerow(["track_id", *[""] * len(columns)])
        lines.writerows([track, *("" if np.isnan(value) else f"{value:.10e}" for value in values)]
                        for track, values in numbers.items())


def track_path(folder, track):
    return folder / "fma_small" / f"{track // 1000:03d}" / f"{track:06d}.mp3"


def write_fma(folder, *, artists=6, seconds=1.2, genres=("dance", "ballad")):
    """Write fma_small, tracks.csv and features.csv: two recordings of each artist, and one artist of each genre in the
    test part, one in the validation part. Every twentieth number depends on the genre. Returns the rows of both tables.
    """
    (folder / "fma_metadata").mkdir(parents=True)
    rng, tracks, numbers = np.random.default_rng(0), {}, {}
    for artist in range(artists * len(genres)):
        genre, split = artist % len(genres), {0: "test", 1: "validation"}.get(artist // len(genres), "training")
        for piece in range(2):
            track = 2 + 137 * (2 * artist + piece)      # from 2 on, in several folders
            tracks[track] = artist + 1, split, "small", genres[genre].title()
            numbers[track] = rng.normal(0, 0.3, len(COLUMNS))
            numbers[track][::20] += 2 * genre
            path = track_path(folder, track)
            path.parent.mkdir(parents=True, exist_ok=True)
            signal = bands.piece(genres[genre], [artist], np.random.default_rng([artist, piece]), seconds=seconds)
            soundfile.write(path, signal, RATE)
    others = {155_000: (99, "training", "medium", "Rock"), 155_001: (98, "training", "large", "")}
    write_tracks(folder / "fma_metadata" / "tracks.csv", {**tracks, **others})
    # rows of other tracks before, between and after; only the numbers of the tracks connect the tables
    rows = {155_000: np.zeros(len(COLUMNS)), **dict(reversed(numbers.items())), 1: np.ones(len(COLUMNS))}
    write_features(folder / "fma_metadata" / "features.csv", rows)
    return tracks, numbers
