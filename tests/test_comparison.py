"""Levels of clips and vocals, and the comparison of the two separators."""

import math
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from snippetkit.audio import level
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError
from snippetkit.vocals.clips import Sources
from snippetkit.vocals.comparison import FLOOR, deviation, energies, take_apart


def test_levels_are_in_decibels_below_full_scale():
    assert level(np.ones(100)) == 0 and level(np.full(100, 0.1)) == pytest.approx(-20)
    assert level(np.zeros(100)) == level(np.zeros(0)) == -math.inf


def test_the_share_of_the_vocals_is_measured_once(tmp_path):
    tone = np.sin(np.arange(132_300) / 20)
    clips, vocals = ({i: tmp_path / f"{name}{i}.flac" for i in (3, 5, 8)} for name in ("clip", "vocals"))
    for path, amplitude in zip([*clips.values(), *vocals.values()], [0.5, 0.2, 0, 0.05, 0, 0]):
        soundfile.write(path, amplitude * tone, 44_100)
    sources = Sources(clips, vocals, {}, {}, "")
    table = energies(sources, tmp_path, jobs=1)
    assert table["clip"].tolist() == [3, 5, 8]
    assert table["share"][0] == pytest.approx(-20, abs=0.01)
    assert table["share"][1] == pytest.approx(FLOOR - level(0.2 * tone), abs=0.01), "no less than 16 bits can hold"
    assert math.isnan(table["share"][2]), "silence has no shares"
    for path in sources.paths.values():
        path.unlink()
    np.testing.assert_allclose(energies(sources, tmp_path, jobs=1)["share"], table["share"])
    with pytest.raises(KitError, match="vocals3.flac cannot be read"):
        energies(replace(sources, weights="other"), tmp_path, jobs=1)


@pytest.mark.parametrize("vocals, noise, below_vocals, below_mixture, agrees", [
    (-6, -106, 100, 106, True),
    (-6, -86, 80, 86, False),
    (-66, -126, 60, 126, True),     # nobody sings: rounding is relative to the mixture
    (-66, -96, 30, 96, False),
    (-math.inf, -126, -math.inf, 126, True),
    (-math.inf, -math.inf, math.inf, math.inf, True),
], ids=["a voice", "a voice, another", "an instrument", "an instrument, another", "no vocals", "the same"])
def test_a_difference_is_judged_by_the_vocals_or_by_the_mixture(vocals, noise, below_vocals, below_mixture, agrees):
    tone, other = np.sin(np.arange(44_100) / 20), np.sign(np.sin(np.arange(44_100)))
    mixture, reference = tone / 10 ** (level(tone) / 20), 10 ** (vocals / 20) * other
    result = deviation(mixture, reference, reference + 10 ** (noise / 20) * other)
    assert result == {
        "below_vocals": pytest.approx(below_vocals, abs=0.01), "below_mixture": pytest.approx(below_mixture, abs=0.01),
        "agrees": agrees,
    }


def test_silence_has_no_difference():
    silence = np.zeros((100, 2))
    assert deviation(silence, silence, silence) == {
        "below_vocals": math.inf, "below_mixture": math.inf, "agrees": True,
    }


def test_a_clip_is_taken_apart_only_with_weights_at_hand(tmp_path, monkeypatch, released_weights):
    recipe, tone = Recipe.published(), 0.3 * np.sin(np.arange(132_300) / 20)
    clip, vocals = tmp_path / "7.wav", tmp_path / "7.flac"
    soundfile.write(clip, tone, 44_100)
    soundfile.write(vocals, 0.1 * tone, 44_100)
    parts = take_apart(clip, vocals, recipe)    # separated before
    np.testing.assert_allclose(parts["accompaniment"], 0.9 * parts["mixture"], atol=1e-3)
    parts = take_apart(clip, clip, recipe)      # now
    assert list(parts) == ["mixture", "vocals", "accompaniment"] and len(parts["vocals"]) == 48_000
    assert min(map(level, parts.values())) > -40
    np.testing.assert_allclose(parts["vocals"] + parts["accompaniment"], parts["mixture"], atol=1e-6)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("MODEL_PATH", raising=False)
    assert list(take_apart(clip, clip, recipe)) == ["mixture"]
