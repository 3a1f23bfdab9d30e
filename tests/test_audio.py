"""Decoding clips: the samples, the faults of damaged files, and what can be salvaged."""

import io

import librosa
import numpy as np
import pytest
import soundfile

from snippetkit import audio
from snippetkit.audio import decoding
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
    r"above 1e\+10": lambda path, tone: wav(path, 3e38 * np.where(np.arange(len(tone)) % 2, 1, -1)),
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
    with pytest.raises(KitError, match="more than 3.1 s instead of 3 s"):
        audio.load(path)
    assert sum(counts) < 4 * 4000


# --- MP3s whose frames are not where, or as many as, a header says ---


def encode(signal, rate, mode="VARIABLE"):
    """The frames of an MP3, each as bytes. The first one has a tag that counts the others."""
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)
    return list(decoding._frames(buffer.getvalue()))


def tone_after_silence(samples, channels=1):
    """The first frames are small, so a guess from their size is wrong."""
    signal = 0.3 * np.random.default_rng(0).normal(size=(samples, channels))
    return signal * (np.arange(samples) > samples / 3)[:, np.newaxis]


UNCOUNTED = {
    "no tag": lambda frames: frames[1:],
    "a tag without a count": lambda frames: [frames[0][:21] + b"Xing" + bytes(8) + frames[0][33:], *frames[1:]],
    "a count of zero": lambda frames: [frames[0][:29] + bytes(4) + frames[0][33:], *frames[1:]],
    "another tag": lambda frames: [frames[0][:21] + bytes(15) + b"VBRI" + frames[0][40:], *frames[1:]],
    "and other bytes at the end": lambda frames: [*frames[1:], b"<html>" * 900],
}


@pytest.mark.parametrize("case", UNCOUNTED)
def test_an_mp3_whose_frames_are_not_counted_is_decoded_to_its_end(tmp_path, case):
    """125 frames at 48 kHz are three seconds, with the encoder's delay of 1105 samples."""
    frames = encode(tone_after_silence(143_000), 48_000)[:126]
    path = tmp_path / "7.mp3"
    path.write_bytes(b"".join(frames))
    counted = audio.load(path, sample_rate=48_000, seconds=None)
    path.write_bytes(b"".join(UNCOUNTED[case](frames)))
    signal = audio.load(path, sample_rate=48_000)
    np.testing.assert_allclose(signal[1105:][: len(counted)], counted[: 144_000 - 1105], atol=1e-6)


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 48_000, 32_000, 24_000, 16_000, 8_000])
def test_uncounted_frames_of_every_kind_are_decoded(rate, channels, mode):
    frames = encode(tone_after_silence(rate, channels), rate, mode)
    counted, uncounted = (decoding.decode(io.BytesIO(b"".join(part)))[0] for part in (frames, frames[1:]))
    assert len(uncounted) == (len(frames) - 1) * (1152 if rate >= 32_000 else 576)
    np.testing.assert_allclose(uncounted[1105:][: len(counted)], counted, atol=1e-6)


ID3 = b"ID3\4\0\0\0\0\0\x64" + bytes(100)
FOREIGN = {
    "a line": b"\n", "a page": b"<html>" * 300, "zeros": bytes(3000), "a tag and zeros": ID3 + bytes(2000),
    "a tag with a footer": b"ID3\4\0\x10" + ID3[6:] + b"3DI\4\0\x10\0\0\0\x64", "two tags": ID3 + ID3,
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_bytes_before_and_between_the_frames_of_an_mp3_are_left_out(tmp_path, tone, foreign):
    path = mp3(tmp_path / "7.mp3", tone)
    expected, frames = audio.load(path), list(decoding._frames(path.read_bytes()))
    for place in (0, 50, len(frames)):
        path.write_bytes(b"".join([*frames[:place], foreign, *frames[place:]]))
        for decode in (audio.load, audio.salvage):
            np.testing.assert_array_equal(decode(path), expected)


def test_lost_frames_are_reported_and_the_others_salvaged(tmp_path, tone):
    path = mp3(tmp_path / "7.mp3", tone)
    data = path.read_bytes()
    path.write_bytes(data[:9000] + bytes(3000) + data[12_000:])
    with pytest.raises(KitError, match="2.*s instead of 3 s .* It is cut short"):
        audio.load(path)
    assert np.abs(audio.salvage(path)).max() > 0.4


# --- clips a little too long or too short ---


@pytest.mark.parametrize("excess", [1, -1, 882, -882, 4410, -4410])
def test_clips_of_almost_three_seconds_are_cut_or_padded_where_that_is_wanted(tmp_path, tone, excess):
    path = wav(tmp_path / "7.mp3", np.resize(tone, 132_300 + excess))
    with pytest.raises(KitError, match=rf"instead of 3 s \({132_300 + excess} samples\)"):
        audio.load(path)
    signal = audio.load(path, sample_rate=44_100, length="fit")
    expected = np.pad(tone, (0, 4410))[: 132_300 + min(excess, 0)]
    np.testing.assert_allclose(signal, np.pad(expected, (0, 132_300 - len(expected))), atol=1e-6)
    assert audio.find_faults([path], length="fit", jobs=1) == ({}, {path: excess / 44_100})


@pytest.mark.parametrize("excess", [4411, -4411])
def test_clips_beyond_the_tolerance_are_refused(tmp_path, tone, excess):
    with pytest.raises(KitError, match=r"decodes to (more than 3\.1|2\.900) s instead of 3 s"):
        audio.load(wav(tmp_path / "7.mp3", np.resize(tone, 132_300 + excess)), length="fit")


def test_all_bad_files_are_reported_together_and_silence_is_none(tmp_path, tone):
    silent, empty, short = (tmp_path / f"{i}.mp3" for i in range(3))
    mp3(silent, np.zeros(132_300))
    BAD["is empty"](empty, tone)
    BAD["is cut short"](short, tone)
    faults, excess = audio.find_faults([silent, empty, short], jobs=2)
    assert list(faults) == [empty, short] and not excess
    assert "empty" in faults[empty] and "cut short" in faults[short]


@pytest.mark.parametrize("fault, is_silent", [
    ("is cut short", False), ("is empty", True), ("NaN", False), ("not audio", True), (r"above 1e\+10", True),
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
