"""Decoding clips: the samples, the faults of damaged files, and what can be salvaged."""

import librosa
import numpy as np
import pytest
import soundfile

from snippetkit import audio
from snippetkit.utils.errors import KitError


@pytest.fixture(scope="module")
def tone():
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(132_300) / 44_100)


def mp3(path, signal):
    soundfile.write(path, signal, 44_100, format="MP3", subtype="MPEG_LAYER_III")
    return path


def wav(path, signal, rate=44_100):
    # The name may end in .mp3, because libsndfile looks at the content.
    soundfile.write(path, signal, rate, format="WAV", subtype="FLOAT")
    return path


def test_samples_are_those_of_librosa(tmp_path, tone):
    path = mp3(tmp_path / "7.mp3", tone)
    signal = audio.load(path)
    assert signal.shape == (48_000,) and signal.dtype == np.float32
    np.testing.assert_array_equal(signal, librosa.load(path, sr=16_000)[0])


def test_other_sample_rate_and_duration(tmp_path):
    path = wav(tmp_path / "7.mp3", np.zeros(2 * 22_050), 22_050)
    assert audio.load(path, sample_rate=8_000, seconds=2).shape == (16_000,)


def cut_in_half(path, tone):
    mp3(path, tone)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD = {
    "is empty": lambda path, tone: path.write_bytes(b""),
    "is cut short": cut_in_half,
    "not audio": lambda path, tone: path.write_text("this is a text\n" * 2000),
    "damaged inside": lambda path, tone: path.write_bytes(np.random.default_rng(0).bytes(30_000)),
    "longer than a clip": lambda path, tone: mp3(path, np.tile(tone, 2)),
    "NaN": lambda path, tone: wav(path, np.where(np.arange(len(tone)) == 5, np.nan, tone)),
    "infinite": lambda path, tone: wav(path, np.where(np.arange(len(tone)) == 5, np.inf, tone)),
    "constant offset": lambda path, tone: wav(path, np.clip(tone + 0.9, -1, 1)),
    "cannot be read: No such file": lambda path, tone: None,
    "cannot be read: Is a directory": lambda path, tone: path.mkdir(),
}


@pytest.mark.parametrize("fault", BAD)
def test_message_names_the_file_and_the_fault(tmp_path, tone, fault):
    path = tmp_path / "7.mp3"
    BAD[fault](path, tone)
    with pytest.raises(KitError, match=rf"7\.mp3 .*{fault}"):
        audio.load(path)


def test_half_an_hour_is_refused_without_decoding_all_of_it(tmp_path, monkeypatch):
    path = wav(tmp_path / "7.mp3", np.zeros(1800 * 4000), 4000)
    counts, read = [], soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda file, n, **kw: counts.append(n) or read(file, n, **kw))
    with pytest.raises(KitError, match="1800.000 s instead of 3 s"):
        audio.load(path)
    assert counts == [3 * 4000 + 1]


def test_all_bad_files_are_reported_together_and_silence_is_none(tmp_path, tone):
    silent, empty, short = (tmp_path / f"{i}.mp3" for i in range(3))
    mp3(silent, np.zeros(132_300))
    BAD["is empty"](empty, tone)
    BAD["is cut short"](short, tone)
    faults = audio.find_faults([silent, empty, short], jobs=2)
    assert list(faults) == [empty, short]
    assert "empty" in faults[empty] and "cut short" in faults[short]


@pytest.mark.parametrize("fault, is_silent", [
    ("is cut short", False), ("is empty", True), ("NaN", False), ("not audio", True),
])
def test_salvage_keeps_what_can_be_decoded(tmp_path, tone, fault, is_silent):
    path = tmp_path / "7.mp3"
    BAD[fault](path, tone)
    signal = audio.salvage(path)
    assert signal.shape == (48_000,) and np.isfinite(signal).all() and signal.any() != is_silent


def test_channels_are_mixed_or_kept(tmp_path, tone):
    stereo = np.stack([tone, 0.5 * tone], axis=1)
    path = wav(tmp_path / "0.wav", stereo)
    np.testing.assert_array_equal(audio.load(path, sample_rate=44_100, mono=False), stereo.astype(np.float32))
    assert audio.load(path, mono=False).shape == (48_000, 2)
    np.testing.assert_allclose(audio.load(path, sample_rate=44_100), stereo.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("samples", [1, 5_000, 200_000])
def test_any_duration_is_accepted_without_seconds(tmp_path, tone, samples):
    path = wav(tmp_path / "0.wav", np.resize(tone, samples))
    for decode in (audio.load, audio.salvage):
        assert decode(path, sample_rate=44_100, seconds=None).shape == (samples,)


def test_file_without_samples_is_refused(tmp_path):
    with pytest.raises(KitError, match="0.wav contains no sound"):
        audio.load(wav(tmp_path / "0.wav", np.zeros(0)), seconds=None)
