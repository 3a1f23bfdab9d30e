"""Recordings in the formats that people send, and what is refused."""

import numpy as np
import pytest
import soundfile
from lab.sounds import RATE, songs, write_m4a

from snippetkit.lab import sound
from snippetkit.lab.identify.collection import _for_tests, collect
from snippetkit.lab.identify.recogniser import recipe
from snippetkit.utils.errors import KitError

pytest.importorskip("av", reason="what decodes m4a: pip install -r requirements-lab.txt")
TONE = songs(1, 3.0)[0]


def test_an_m4a_sounds_as_the_same_wav(tmp_path):
    write_m4a(tmp_path / "one.m4a", TONE)
    soundfile.write(tmp_path / "two.wav", TONE, RATE)
    one, two = (sound.load(tmp_path / name, sample_rate=16_000) for name in ("one.m4a", "two.wav"))
    middle = slice(16_000, 32_000)     # an encoder delays by some hundred samples and fades in
    assert abs(len(one) - len(two)) < 3000 and np.std(one[middle]) == pytest.approx(np.std(two[middle]), rel=0.02)
    spectra = [np.abs(np.fft.rfft(each[middle])) for each in (one, two)]
    assert spectra[0].argmax() == spectra[1].argmax()


def test_channels_are_kept_apart_where_wanted(tmp_path):
    soundfile.write(tmp_path / "stereo.wav", np.stack([TONE, -0.5 * TONE], axis=1), RATE)
    apart = sound.load(tmp_path / "stereo.wav", sample_rate=RATE, mono=False)
    mixed = sound.load(tmp_path / "stereo.wav", sample_rate=RATE)
    assert apart.shape == (len(TONE), 2) and mixed.shape == TONE.shape
    np.testing.assert_allclose(mixed, apart.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("name, content, sentence", [
    ("text.mp3", b"no music\n" * 99, "is not audio that can be decoded"),
    ("empty.wav", b"", "is empty"),
    ("gone.wav", None, "cannot be read"),
])
def test_what_cannot_be_decoded_is_a_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(KitError, match=sentence):
        sound.load(tmp_path / name, sample_rate=RATE)


def test_a_truncated_m4a_is_a_sentence(tmp_path):
    write_m4a(tmp_path / "whole.m4a", TONE)
    content = (tmp_path / "whole.m4a").read_bytes()
    (tmp_path / "cut.m4a").write_bytes(content[: len(content) // 2])
    with pytest.raises(KitError, match="cut.m4a is not audio that can be decoded, or is damaged inside"):
        sound.load(tmp_path / "cut.m4a", sample_rate=RATE)


def test_bounds_are_sentences_that_say_what_to_do(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(3 * RATE, 0.1), RATE)
    with pytest.raises(KitError, match="is longer than 0.02 minutes, the accepted length. Cut it"):
        sound.load(tmp_path / "a.wav", sample_rate=RATE, longest=1.2)
    with pytest.raises(KitError, match="has 0 MB, but at most 0 MB are accepted. Cut it, or save it as MP3"):
        sound.load(tmp_path / "a.wav", sample_rate=RATE, largest=1000)


# --- collections ---


def test_takes_of_one_source_stay_together():
    names = ["1-7-A", "1-7-B", "1-8-A", "1-9-A", "2-1-A", "2-2-A", "2-2-B", "2-3"]
    is_test = dict(zip(names, _for_tests(names)))
    assert is_test["1-7-A"] and is_test["1-7-B"] and is_test["2-2-A"] == is_test["2-2-B"]
    assert not is_test["1-8-A"] and 0 < sum(is_test.values()) < len(names)


def test_all_that_cannot_be_used_is_named_at_once(tmp_path):
    for kind in ("songs", "noise"):
        (tmp_path / kind).mkdir()
        for i in range(4):
            soundfile.write(tmp_path / kind / f"{i}.wav", np.tile(TONE, 2), RATE)
    (tmp_path / "songs" / "1.wav").write_bytes(b"")
    soundfile.write(tmp_path / "noise" / "2.wav", np.zeros(RATE), RATE)
    with pytest.raises(KitError, match=r"2 recordings cannot be used. .*1.wav is empty .*2.wav is silent"):
        collect(tmp_path / "songs", tmp_path / "noise", recipe(), jobs=1)
    soundfile.write(tmp_path / "songs" / "1.wav", TONE, RATE)
    soundfile.write(tmp_path / "noise" / "2.wav", TONE, RATE)
    with pytest.raises(KitError, match="shorter than 5 s: 1.wav. Leave them out"):
        collect(tmp_path / "songs", tmp_path / "noise", recipe(), jobs=1)
    (tmp_path / "songs" / "1.wav").unlink()
    with pytest.raises(KitError, match="contain 3 songs and 4 noises, but 4 songs .2 are kept back"):
        collect(tmp_path / "songs", tmp_path / "noise", recipe(), unknown=2, jobs=1)
    found = collect(tmp_path / "songs", tmp_path / "noise", recipe(), unknown=1, jobs=1)
    assert len(found.data.names) == 2 and len(found.unknown) == 1
    assert (len(found.data.noises), len(found.data.test_noises)) == (3, 1)
    soundfile.write(tmp_path / "songs" / "2.flac", TONE, RATE)
    with pytest.raises(KitError, match="several recordings of one name: 2. Rename"):
        collect(tmp_path / "songs", tmp_path / "noise", recipe(), jobs=1)
