"""The songs and noises of the lab's demo: the same ones for the same seed, each unlike the others."""

import numpy as np
import pytest
import soundfile

from snippetkit.lab.folders import lab_folder
from snippetkit.lab.genres import demo as genres_demo
from snippetkit.lab.identify import demo
from snippetkit.utils.errors import KitError


@pytest.mark.slow
def test_songs_and_noises_are_there_and_the_same_again(tmp_path):
    one, two = (demo.make(tmp_path / name, songs=2, noises=3, jobs=1) for name in "ab")
    assert [path.name for path in sorted((one / "songs").iterdir())] == ["song 00.mp3", "song 01.mp3"]
    for kind in ("songs", "noise"):
        sounds = [path.read_bytes() for path in sorted((one / kind).iterdir())]
        assert sounds == [path.read_bytes() for path in sorted((two / kind).iterdir())]
        assert len(set(sounds)) == len(sounds)
    sound, rate = soundfile.read(one / "songs" / "song 00.mp3")
    assert len(sound) / rate == pytest.approx(3 * demo.PIECES) and 0.05 < np.std(sound) < 0.5
    assert demo.make(one, songs=2, noises=3) == one
    with pytest.raises(KitError, match="was created differently"):
        demo.make(one, songs=2, noises=4)


def test_noises_are_of_one_level_and_many_colours():
    rng = np.random.default_rng(0)
    found = [demo.noise(rng) for _ in range(12)]
    centroids = []
    for each in found:
        assert each.shape == (5 * 44_100,) and np.std(each) == pytest.approx(0.05, rel=0.1)
        power = np.abs(np.fft.rfft(each)) ** 2
        centroids.append(np.sum(power * np.arange(len(power))) / np.sum(power) / 5)
    assert min(centroids) < 500 and max(centroids) > 2000


@pytest.fixture(scope="module")
def made_genres(tmp_path_factory):
    return genres_demo.make(tmp_path_factory.mktemp("genres") / "sounds", artists=2, recordings=2)


def test_genres_are_folders_of_artists_and_one_file_is_cut_short(made_genres):
    names = {path.relative_to(made_genres).as_posix() for path in made_genres.glob("*/*.mp3")}
    assert len(names) == 4 * 2 * 2 + 1
    assert {"ballad/artist 00 - piece 1.mp3", "rock/artist 07 - piece 2.mp3", "rock/artist 08 - cut short.mp3"} < names
    for name in names:
        sound, rate = soundfile.read(made_genres / name)
        if "cut short" in name:
            assert len(sound) < 3 * rate
        else:
            assert len(sound) == genres_demo.SECONDS * rate and 0.05 < np.std(sound) < 0.3


def test_genres_are_the_same_again_or_refused(made_genres, tmp_path):
    again = genres_demo.make(tmp_path / "sounds", artists=2, recordings=2, jobs=1)
    for path in made_genres.glob("*/*.mp3"):
        assert path.read_bytes() == (again / path.relative_to(made_genres)).read_bytes()
    assert genres_demo.make(again, artists=2, recordings=2) == again
    with pytest.raises(KitError, match="was created differently"):
        genres_demo.make(again, artists=3, recordings=2)


def test_recordings_of_an_artist_are_likest_to_each_other(made_genres):
    spectra = {}
    for path in made_genres.glob("*/*piece*.mp3"):
        frames = soundfile.read(path)[0][:132_096].reshape(-1, 2064)
        spectra[path.parent.name, path.stem.split(" - ")[0], path.stem] = np.log(
            np.abs(np.fft.rfft(frames)).mean(axis=0) + 1e-3
        )
    nearest = {
        one: min((each for each in spectra if each != one), key=lambda each: np.std(spectra[each] - spectra[one]))
        for one in spectra
    }
    assert np.mean([one[:2] == other[:2] for one, other in nearest.items()]) > 0.8


def test_a_notebook_of_the_lab_gets_its_folders(tmp_path):
    made = []
    work, data = lab_folder("identify", out=tmp_path / "out", make=lambda folder: made.append(folder) or folder)
    assert work == tmp_path / "out" and data == tmp_path / "out" / "sounds" and made == [data]
    assert lab_folder("identify", tmp_path, tmp_path / "other", make=None) == (tmp_path / "other", tmp_path)
    with pytest.raises(KitError, match="there is no data folder .*nowhere"):
        lab_folder("identify", tmp_path / "nowhere", make=None)
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="the work folder .* cannot be created: Not a directory"):
        lab_folder("identify", tmp_path, tmp_path / "file" / "out", make=None)
