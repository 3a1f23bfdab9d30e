"""The separation: clips in, vocals on the disk, across faults, kills and full disks."""

import json
import os
import shutil
import signal
import subprocess
import sys

import checkpoint_writer
import numpy as np
import pytest
import soundfile
import torch
from conftest import wait_for
from torch.nn.modules.module import register_module_forward_hook

from snippetkit import audio, filterbank
from snippetkit.data import competition
from snippetkit.recipe import Recipe
from snippetkit.run.workspace import Workspace
from snippetkit.training.data import prepare
from snippetkit.utils.errors import KitError
from snippetkit.utils.hardware import Device
from snippetkit.vocals import checkpoint, network, separation
from snippetkit.vocals.clips import Sources, record_separation
from snippetkit.vocals.comparison import snr
from snippetkit.vocals.separation import separate

RECIPE = Recipe.published()


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    """No weights but those that a test names."""
    monkeypatch.delenv("MODEL_PATH", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # refuses at once, so that nothing is ever downloaded


@pytest.fixture(scope="module")
def separated(small_competition, weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("separated") / "vocals"
    return folder, separate(small_competition, folder, RECIPE, weights=weights)


def flacs(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.flac"))}


def test_every_clip_gets_its_vocals(separated, small_competition):
    folder, (train, test) = separated
    assert set(flacs(folder)) == {*(f"train/{i}.flac" for i in range(24)), *(f"test/{i}.flac" for i in range(8))}
    assert train.paths[7] == folder / "train" / "7.flac" and train.clips[7] == small_competition.train[7]
    assert soundfile.info(train.paths[7]).subtype == "PCM_16"
    assert len(test.paths) == 8 and train.weights == test.weights and len(train.weights) == 12


def test_vocals_are_the_networks_output(separated, weights):
    _, (train, _) = separated
    signal = audio.load(train.clips[5], sample_rate=separation.RATE, mono=False)
    vocals = network.Network(weights)(separation.stereo(signal)[np.newaxis])[0].mean(axis=1)
    written, _ = soundfile.read(train.paths[5], dtype="float32")
    assert np.abs(written - vocals).max() < 2 / 2**16
    assert np.abs(written - signal[:, 0]).max() > 0.05


@pytest.fixture
def work(separated, small_competition, tmp_path):
    """A work folder with all vocals."""
    work = Workspace(data=small_competition.root, folder=tmp_path)
    shutil.copytree(separated[0], work.vocals)
    return work


def test_features_come_from_the_vocals_which_are_not_needed_any_more(small_competition, work):
    prepared = prepare(small_competition, work, RECIPE)
    for split, name in ((prepared.train, "train"), (prepared.test, "test")):
        expected = filterbank.log_mel(audio.load(work.vocals / name / "5.flac"))
        np.testing.assert_array_equal(split.array[5], expected.astype(np.float32))
    shutil.rmtree(work.vocals / "train")
    shutil.rmtree(work.vocals / "test")
    assert prepare(small_competition, work, RECIPE).fingerprint(RECIPE) == prepared.fingerprint(RECIPE)
    assert not flacs(work.vocals)


@pytest.mark.slow
def test_chosen_clips_are_separated_first(separated, small_competition, weights, tmp_path):
    folder = tmp_path / "vocals"
    separate(small_competition, folder, RECIPE, weights=weights, only=[9, 22])
    assert {"train/9.flac", "train/22.flac"} <= flacs(folder).keys() and len(flacs(folder)) < 32
    separate(small_competition, folder, RECIPE, only=[9, 22])   # which are there, so that no weights are needed
    separate(small_competition, folder, RECIPE, weights=weights)
    assert flacs(folder) == flacs(separated[0])


def test_stereo_other_sample_rates_and_silence_are_separated(copied_demo, weights, tmp_path):
    clips = copied_demo / "train_mp3s"
    left, rate = soundfile.read(clips / "0.mp3")
    right, _ = soundfile.read(clips / "1.mp3")
    soundfile.write(clips / "2.mp3", np.stack([left, right], axis=1), rate, format="MP3")
    soundfile.write(clips / "3.mp3", left[: 3 * 32_000], 32_000, format="MP3")
    soundfile.write(clips / "4.mp3", np.zeros(132_300), 44_100, format="MP3")
    train, _ = separate(competition.find(copied_demo), tmp_path / "vocals", RECIPE, weights=weights)
    first, second = soundfile.read(train.paths[2])[0].T
    assert np.abs(first - second).max() > 0.01
    information = soundfile.info(train.paths[3])
    assert (information.samplerate, information.frames, information.channels) == (44_100, 132_300, 1)
    assert not soundfile.read(train.paths[4])[0].any()


SCRIPT = """
import sys, time
from snippetkit.data import competition
from snippetkit.recipe import Recipe
from snippetkit.vocals.separation import separate
clips, start = competition.find(sys.argv[1]), time.perf_counter()
separate(clips, sys.argv[2], Recipe.published(), weights=sys.argv[3])
print(time.perf_counter() - start < 1, "torch" in sys.modules)
"""


def test_what_is_complete_is_skipped_without_weights_or_torch(separated, small_demo):
    before = flacs(separated[0])
    command = [sys.executable, "-c", SCRIPT, small_demo, separated[0], ""]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "True False\n"
    assert flacs(separated[0]) == before


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(separated, small_demo, weights, tmp_path):
    folder = tmp_path / "vocals"
    command = [sys.executable, "-c", SCRIPT, small_demo, folder, weights]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: len(list(folder.glob("train/[0-9]*.flac"))) >= 9 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    first, *kept = sorted(folder.glob("*/[0-9]*.flac"))
    assert 8 <= len(kept) < 31
    times = [path.stat().st_mtime_ns for path in kept]
    first.unlink()      # and one in the middle of a batch is missing
    subprocess.run(command, check=True)
    assert flacs(folder) == flacs(separated[0])
    assert [path.stat().st_mtime_ns for path in kept] == times, "made again"


def test_a_clip_always_shares_its_batch_with_the_same_clips(tmp_path):
    """Or a run that was killed might end with other last bits."""
    paths = {i: tmp_path / f"{i}.flac" for i in (0, 1, 2, 4, 5, 6, 7)}
    split = Sources(paths, paths, {}, {}, "")
    for there in (0, 2, 4, 6):
        paths[there].touch()
    assert [ids for _, ids in separation._batches([split], None, 3)] == [[0, 1, 2], [4, 5, 6], [7]]
    paths[1].touch()
    assert [ids for _, ids in separation._batches([split, split], None, 3)] == 2 * [[4, 5, 6], [7]]
    assert [ids for _, ids in separation._batches([split, split], [7, 6], 3)] == [[7]]


@pytest.mark.slow
def test_a_full_disk_leaves_no_short_file(small_competition, weights, small_disk, separated):
    small_disk.resize(1_500_000)    # some of the 32 clips
    folder = small_disk.folder / "vocals"
    with pytest.raises(KitError, match=r"\d+\.flac could not be written: No space left on device"):
        separate(small_competition, folder, RECIPE, weights=weights, jobs=1)
    whole, kept = flacs(separated[0]), flacs(folder)
    assert 0 < len(kept) < 32 and kept.items() <= whole.items()
    small_disk.resize(50_000_000)
    separate(small_competition, folder, RECIPE, weights=weights)
    assert flacs(folder) == whole


def test_damaged_clips_are_named_before_any_work(damaged, weights, tmp_path):
    with pytest.raises(KitError, match=r"(?s)2 of 32 clips are bad:.*3\.mp3 is empty.*2\.mp3 decodes to"):
        separate(damaged, tmp_path / "vocals", RECIPE, weights=weights)
    assert not flacs(tmp_path)


@pytest.mark.slow
def test_damaged_clips_are_left_out_or_salvaged(damaged, weights, tmp_path):
    _, test = separate(damaged, tmp_path / "vocals", RECIPE, weights=weights, on_bad="skip")
    assert len(flacs(tmp_path)) == 23 + 8
    salvaged, _ = soundfile.read(test.paths[2])
    assert len(salvaged) == 132_300 and salvaged[:10_000].std() > 0.001 and np.abs(salvaged[-20_000:]).max() < 1e-3


# --- weights ---


def test_missing_and_damaged_weights_are_reported_before_anything_is_made(
    small_competition, weights, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")     # nothing can be fetched
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    damaged = shutil.copytree(weights, tmp_path / "damaged")
    with open(damaged / "model.data-00000-of-00001", "r+b") as data:
        data.seek(5_000_000)
        data.write(b"damage")
    for folder, message in [
        ("", "Spleeter's weights could not be fetched.*--weights.*separator=none"),
        (damaged, "model.data-00000-of-00001 is damaged: the checksum of conv2d"),
    ]:
        with pytest.raises(KitError, match=message):
            separate(small_competition, tmp_path / "vocals", RECIPE, weights=folder)
    assert not (tmp_path / "vocals").exists()


def test_vocals_of_other_weights_are_refused_even_if_they_are_complete(small_competition, silencing_weights, work):
    with pytest.raises(KitError, match=r"was created differently \(different weights\)"):
        separate(small_competition, work.vocals, RECIPE, weights=silencing_weights)


@pytest.mark.parametrize("before, now, difference", [
    ({}, {}, "different weights"),
    ({}, {"fast_separation": True}, "fast_separation: False, now True"),
    ({}, {"separator": "spleeter"}, "separator: 'torch', now 'spleeter'"),
    ({"separator": "none"}, {}, "separator: 'none', now 'torch'"),
])
def test_vocals_made_otherwise_are_refused(small_competition, weights, tmp_path, before, now, difference):
    record_separation(tmp_path, RECIPE.with_values(**before), "0123456789ab")
    with pytest.raises(KitError, match=rf"was created differently \({difference}\)"):
        separate(small_competition, tmp_path, RECIPE.with_values(**now), weights=weights)
    assert not flacs(tmp_path)


def test_vocals_without_a_record_are_refused(small_competition, weights, work):
    (work.vocals / "separation.json").unlink()
    with pytest.raises(KitError, match="has no separation.json, so how it was made is unknown"):
        separate(small_competition, work.vocals, RECIPE, weights=weights)


def last_layers(voice, rest):
    """The tensors of last layers that always estimate so much voice, and so much of the rest."""
    kernel = np.zeros((4, 4, 1, 2), np.float32)
    return {
        "conv2d_6/kernel": kernel, "conv2d_6/bias": np.full(2, voice, np.float32),
        "conv2d_13/kernel": kernel, "conv2d_13/bias": np.full(2, rest, np.float32),
    }


@pytest.fixture(scope="module")
def silencing_weights(tmp_path_factory):
    tensors = checkpoint_writer.random_tensors(**last_layers(-30, 30))
    return checkpoint_writer.write(tmp_path_factory.mktemp("silencing"), tensors)


@pytest.mark.parametrize("tensors, message", [
    (last_layers(30, -30), "are the clips themselves"),
    ({f"conv2d_{i}/kernel": np.full((5, 5, 8 * 2**i, 16 * 2**i), 1e30, np.float32) for i in (1, 2, 3)},
     "the vocals of 0.mp3 to 3.mp3 contain NaN or infinity"),
], ids=["mixture", "NaN"])
def test_weights_of_useless_vocals_are_refused(small_competition, tmp_path, tensors, message):
    faulty = checkpoint_writer.write(tmp_path / "weights", checkpoint_writer.random_tensors(**tensors))
    with pytest.raises(KitError, match=message):
        separate(small_competition, tmp_path / "vocals", RECIPE, weights=faulty)
    assert not flacs(tmp_path) and not (tmp_path / "vocals" / "separation.json").exists()


def test_silent_clips_do_not_verify_the_weights(copied_demo, silencing_weights, tmp_path):
    for i in range(8):
        soundfile.write(copied_demo / "train_mp3s" / f"{i}.mp3", np.zeros(132_300), 44_100, format="MP3")
    with pytest.raises(KitError, match="are silent though the clips are not"):
        separate(competition.find(copied_demo), tmp_path / "vocals", RECIPE, weights=silencing_weights)


@pytest.mark.slow
def test_clips_without_voice_are_accepted_once_the_weights_are_verified(small_competition, silencing_weights, tmp_path):
    # as if the rest of a folder, on which the run goes on, were instrumental
    record_separation(tmp_path, RECIPE, checkpoint.fingerprint(silencing_weights))
    separate(small_competition, tmp_path, RECIPE, weights=silencing_weights)
    assert len(flacs(tmp_path)) == 32


# --- what comes after ---


def test_features_of_other_sound_are_refused(small_competition, work):
    prepare(small_competition, work, RECIPE)
    record = work.vocals / "separation.json"
    record.write_text(record.read_text().replace(json.loads(record.read_text())["made_by"]["weights"], "0123456789ab"))
    with pytest.raises(KitError, match=r"train.npy was created differently \(different weights\)"):
        prepare(small_competition, work, RECIPE)
    shutil.rmtree(work.vocals)
    with pytest.raises(KitError, match=r"train.npy was created differently \(separator: 'torch', now 'none'"):
        prepare(small_competition, work, RECIPE.with_values(separator="none"))


# --- half precision ---


def test_fast_is_near_and_not_the_same(weights, small_competition):
    mixture = separation.stereo(audio.load(small_competition.train[0], sample_rate=separation.RATE, mono=False))
    cpu = Device("cpu", "CPU", "bf16")
    exact, fast = (network.Network(weights, fast=fast, device=cpu)(mixture[np.newaxis]) for fast in (False, True))
    assert 25 < snr(exact, fast) < 70


def test_fast_on_a_device_without_units_for_it_says_so(weights, capsys):
    network.Network(weights, fast=True, device=Device("cpu", "CPU", "fp32"))
    assert "fast_separation has no effect: CPU has no units for half precision" in capsys.readouterr().err


def test_tf32_is_switched_off(weights):
    """Its convolutions would otherwise be computed in TF32, which is switched here as on any other device."""
    allowed = set()
    with register_module_forward_hook(lambda *_: allowed.add(torch.backends.cudnn.allow_tf32)):
        network.Network(weights)(np.zeros((1, 44_100, 2), np.float32))
    assert allowed == {False} and torch.backends.cudnn.allow_tf32


def test_of_many_channels_the_first_two_are_taken():
    signal = np.arange(12).reshape(3, 4)
    assert separation.stereo(signal).tolist() == [[0, 1], [4, 5], [8, 9]]
    assert separation.stereo(signal[:, :1]).tolist() == [[0, 0], [4, 4], [8, 8]]


def test_weights_with_separator_none_are_refused(small_competition, weights, tmp_path):
    with pytest.raises(KitError, match="weights are given, but separator is none"):
        separate(small_competition, tmp_path, RECIPE.with_values(separator="none"), weights=weights)


def test_only_the_network_can_be_made_faster():
    with pytest.raises(KitError, match="fast_separation works with separator=torch only"):
        RECIPE.with_values(separator="none", fast_separation=True)
