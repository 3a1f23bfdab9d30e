"""Recordings in the formats of phones and computers, what is refused, and the folders of the lab's notebooks."""

import os

import numpy as np
import pytest
import soundfile
from lab.sounds import RATE, make_songs, write

from snippetkit.audio import recordings
from snippetkit.lab import folders
from snippetkit.lab.identify.collection import choose_test_noises, load_songs
from snippetkit.lab.identify.recogniser import song_recipe
from snippetkit.utils.errors import KitError

pytest.importorskip("av", reason="decodes m4a: pip install -r requirements-lab.txt")
TONE = make_songs(1, 3.0)[0]


def test_an_m4a_sounds_like_the_same_wav(tmp_path):
    signals = [recordings.load(write(tmp_path / name, TONE), sample_rate=16_000) for name in ("one.m4a", "two.wav")]
    assert abs(len(signals[0]) - len(signals[1])) < 3000
    one, two = (signal[16_000:32_000] for signal in signals)    # an encoder delays and fades in
    assert np.std(one) == pytest.approx(np.std(two), rel=0.02)
    assert np.abs(np.fft.rfft(one)).argmax() == np.abs(np.fft.rfft(two)).argmax()


def cut_tag(data):
    """An MP3 without its first frame, which counts the others."""
    return data[data.index(data[:2], 2) :]


def forget_length(data):
    """A FLAC as a program writes it to a pipe."""
    return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]


@pytest.mark.parametrize("name, change", [
    ("one.mp3", cut_tag), ("one.mp3", lambda data: b"<html>" * 300 + cut_tag(data)), ("one.flac", forget_length),
    ("one.wav", lambda data: data[:40] + b"\xff" * 4 + data[44:]),
])
def test_a_recording_is_decoded_to_its_end_whatever_its_header_says(tmp_path, name, change):
    path = tmp_path / name
    signal = np.random.default_rng(0).normal(0, 0.1, 20 * RATE) * np.where(np.arange(20 * RATE) < 2 * RATE, 1, 1e-3)
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.5} if name == "one.mp3" else {}
    soundfile.write(path, signal, RATE, **options)
    path.write_bytes(change(path.read_bytes()))
    assert len(recordings.load(path, sample_rate=RATE)) == pytest.approx(20 * RATE, abs=0.1 * RATE)
    with pytest.raises(KitError, match="lasts longer than 0.3"):
        recordings.load(path, sample_rate=RATE, longest=19)


def test_the_decoder_prints_nothing_about_an_mp3_that_was_cut_and_others_may_print(tmp_path, capfd, monkeypatch):
    path, signal = tmp_path / "one.mp3", np.random.default_rng(0).normal(0, 0.1, 10 * RATE)
    signal[: 5 * RATE] *= 1e-3      # leaves bits for later frames
    soundfile.write(path, signal, RATE, bitrate_mode="CONSTANT", compression_level=0.9)
    data = path.read_bytes()
    for start in range(len(data) // 2, len(data) // 2 + 4000):
        path.write_bytes(data[start:])
        with soundfile.SoundFile(path) as file:
            file.read()
        if b"libmpg123" in capfd.readouterr().err.encode():
            break
    else:
        pytest.skip("this libsndfile prints nothing")
    original = recordings.decode
    monkeypatch.setattr(recordings, "decode", lambda *given: os.write(2, b"a warning\n") and original(*given))
    assert len(recordings.load(path, sample_rate=RATE))
    assert capfd.readouterr().err == "a warning\n"
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


def test_channels_are_mixed_unless_they_are_wanted(tmp_path):
    path = write(tmp_path / "stereo.wav", np.stack([TONE, -0.5 * TONE], axis=1))
    channels, mixed = (recordings.load(path, sample_rate=RATE, mono=mono) for mono in (False, True))
    assert channels.shape == (len(TONE), 2) and mixed.shape == TONE.shape
    np.testing.assert_allclose(mixed, channels.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("name, make, message", [
    ("text.mp3", lambda path: path.write_bytes(b"no music\n" * 99), "is not audio that can be decoded"),
    ("cut.m4a", lambda path: os.truncate(write(path, TONE), 20_000), "is not audio that can be decoded, or is damaged"),
    ("empty.wav", lambda path: path.touch(), "is empty"),
    ("missing.wav", lambda path: None, "cannot be read"),
    ("zeros.wav", lambda path: write(path, 0 * TONE), "is silent"),
    ("header.wav", lambda path: write(path, TONE[:0]), "holds no sound"),
    ("huge.wav", lambda path: soundfile.write(path, 3e38 * np.sign(TONE), RATE, subtype="FLOAT"), "contains samples"),
    ("long.wav", lambda path: write(path, np.tile(TONE, 3)), "lasts longer than 0.1 minutes. Cut it"),
    ("large.wav", lambda path: write(path, np.tile(TONE, 9)), "has 1 MB, more than 0. Cut it or save it as MP3"),
])
def test_a_recording_that_cannot_be_used_is_refused(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(KitError, match=f"{name} {message}"):
        recordings.load(tmp_path / name, sample_rate=RATE, longest=6, largest=450_000)


# --- folders ---


def test_data_and_results_have_their_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "runs_folder", lambda: tmp_path / "runs")
    (tmp_path / "mine").mkdir()
    find, runs, data, out = folders.lab_folder, tmp_path / "runs", tmp_path / "mine", tmp_path / "out"
    assert find("identify", make=lambda path: path) == (runs / "identify", runs / "identify" / "sounds")
    assert find("identify", data, make=None) == (runs / "identify-mine", data)
    assert find("identify", data, out, make=None) == (out, data) and out.is_dir()
    with pytest.raises(KitError, match="there is no data folder .*nowhere"):
        find("identify", tmp_path / "nowhere", make=None)
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="the work folder .*file cannot be created"):
        find("identify", out=tmp_path / "file", make=None)


def test_takes_of_one_source_stay_together():
    names = ["1-7-A", "1-7-B", "1-8-A", "1-9-A", "2-1-A", "2-2-A", "2-2-B", "2-3"]
    assert choose_test_noises(names) == [name[:3] in ("1-7", "2-2") for name in names]


def test_songs_are_split_and_everything_unusable_is_named(tmp_path):
    songs, noises = tmp_path / "songs", tmp_path / "noise"
    for folder in (songs, noises):
        folder.mkdir()
        for i in range(4):
            write(folder / f"{i}.wav", np.tile(TONE, 2))

    def load(unknown=0):
        return load_songs(songs, noises, song_recipe(), unknown=unknown, jobs=1)

    data = load(unknown=1)
    assert (len(data.names), len(data.unknown), len(data.noises), len(data.test_noises)) == (3, 1, 3, 1)
    write(noises / "2.wav", np.zeros(RATE))
    (songs / "1.wav").write_bytes(b"")
    with pytest.raises(KitError, match=r"2 recordings cannot be used; .*1.wav is empty .*2.wav is silent"):
        load()
    write(songs / "1.wav", TONE)
    write(noises / "2.wav", TONE)
    with pytest.raises(KitError, match="are shorter than 5 s: 1.wav. Remove them"):
        load()
    (songs / "1.wav").unlink()
    with pytest.raises(KitError, match="hold 3 songs and 4 noises. At least 4 songs .2 of them unknown. and 4 noises"):
        load(unknown=2)
    write(songs / "2.flac", TONE)
    with pytest.raises(KitError, match="several recordings named 2. Rename or remove some"):
        load()
