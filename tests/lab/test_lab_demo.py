"""The synthetic songs, noises and genres: equal for the same arguments, and each unlike the others."""

import numpy as np
import pytest
import soundfile

from snippetkit.lab.genres import demo as genres
from snippetkit.lab.identify import demo as songs
from snippetkit.utils.errors import KitError

SMALL = {"artists": 2, "recordings": 2}


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.mp3")}


@pytest.fixture(scope="module")
def made_genres(tmp_path_factory):
    return genres.make(tmp_path_factory.mktemp("genres") / "sounds", **SMALL)


def test_songs_and_noises_are_repeated_to_the_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(songs, "PIECES", 2)     # of 3 seconds
    one, again = (songs.make(tmp_path / name, songs=2, noises=2, jobs=1) for name in ("one", "again"))
    assert contents(one) == contents(again) and len(set(contents(one).values())) == 4
    assert set(contents(one)) == {f"{name} {i:02d}.mp3" for name in ("songs/song", "noise/noise") for i in range(2)}
    signal, rate = soundfile.read(one / "songs" / "song 00.mp3")
    assert len(signal) / rate == pytest.approx(6) and 0.05 < np.std(signal) < 0.5


def test_genres_are_repeated_to_the_byte_and_those_of_another_seed_are_refused(made_genres, tmp_path):
    again = genres.make(tmp_path / "sounds", **SMALL, jobs=1)
    assert contents(again) == contents(made_genres)
    with pytest.raises(KitError, match="was created differently .seed: 0, now 1"):
        genres.make(again, **SMALL, seed=1)


def test_noises_have_one_level_and_many_colours():
    rng = np.random.default_rng(0)
    noises = np.stack([songs.noise(rng) for _ in range(12)])
    assert noises.shape == (12, 5 * 44_100) and noises.std(axis=1) == pytest.approx(0.05, rel=0.1)
    power = np.abs(np.fft.rfft(noises)) ** 2
    centroids = power @ np.fft.rfftfreq(noises.shape[1], 1 / 44_100) / power.sum(axis=1)
    assert min(centroids) < 500 and max(centroids) > 2000


def test_genres_are_folders_of_artists_and_one_file_is_truncated(made_genres):
    names = set(contents(made_genres))
    assert len(names) == 4 * 2 * 2 + 1
    assert {"ballad/artist 00 - piece 1.mp3", "rock/artist 07 - piece 2.mp3", "rock/artist 08 - cut short.mp3"} < names
    for name in names:
        signal, rate = soundfile.read(made_genres / name)
        assert len(signal) < 3 * rate if "cut short" in name else len(signal) == genres.SECONDS * rate
        assert 0.05 < np.std(signal) < 0.3


def test_recordings_of_an_artist_resemble_each_other_most(made_genres):
    paths = sorted(made_genres.glob("*/*piece*.mp3"))
    frames = [soundfile.read(path)[0][:132_096].reshape(-1, 2064) for path in paths]
    spectra = np.stack([np.log(np.abs(np.fft.rfft(part)).mean(axis=0) + 1e-3) for part in frames])
    distances = np.std(spectra[:, None] - spectra, axis=2)
    np.fill_diagonal(distances, np.inf)
    artists = np.array([path.stem.split(" - ")[0] for path in paths])
    assert np.mean(artists[distances.argmin(axis=1)] == artists) > 0.8
