"""The separation: clips in, vocals on the disk, across faults, kills and full disks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import checkpoint_writer
import numpy as np
import pytest
import soundfile
import torch

from snippetkit import audio, filterbank
from snippetkit.data import competition
from snippetkit.recipe import Recipe
from snippetkit.run.workspace import Workspace
from snippetkit.training.data import prepare
from snippetkit.utils.errors import KitError
from snippetkit.utils.hardware import Device
from snippetkit.vocals import checkpoint, network, separation, unet
from snippetkit.vocals.clips import Sources, record_separation
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
    assert sorted(flacs(folder)) == sorted(
        [f"train/{i}.flac" for i in range(24)] + [f"test/{i}.flac" for i in range(8)]
    )
    assert train.paths[7] == folder / "train" / "7.flac" and train.clips[7] == small_competition.train[7]
    information = soundfile.info(train.paths[7])
    assert (information.samplerate, information.frames, information.channels) == (44_100, 132_300, 1)
    assert information.subtype == "PCM_16"
    assert len(test.paths) == 8 and train.weights == test.weights and len(train.weights) == 12


def test_vocals_are_the_networks_output(separated, weights):
    _, (train, _) = separated
    signal = audio.load(train.clips[5], sample_rate=separation.RATE)
    twice = np.stack([signal, signal], axis=1)
    vocals = network.Network(weights)(twice[np.newaxis])[0].mean(axis=1)
    written, _ = soundfile.read(train.paths[5], dtype="float32")
    assert np.abs(written - vocals).max() < 2 / 2**16
    assert np.abs(written - signal).max() > 0.05


def test_features_come_from_the_vocals(separated, small_competition, tmp_path):
    work = Workspace(data=small_competition.root, folder=tmp_path)
    shutil.copytree(separated[0], work.vocals)
    prepared = prepare(small_competition, work, RECIPE)
    for split, name in ((prepared.train, "train"), (prepared.test, "test")):
        expected = filterbank.log_mel(audio.load(work.vocals / name / "5.flac"))
        np.testing.assert_array_equal(split.array[5], expected.astype(np.float32))


@pytest.mark.slow
def test_chosen_clips_are_separated_first(separated, small_competition, weights, tmp_path):
    folder = tmp_path / "vocals"
    separate(small_competition, folder, RECIPE, weights=weights, only=[9, 22])
    some = flacs(folder)
    assert {"train/9.flac", "train/22.flac"} <= set(some) and len(some) < 32
    separate(small_competition, folder, RECIPE, only=[9, 22])   # which are there, so that no weights are needed
    separate(small_competition, folder, RECIPE, weights=weights)
    assert flacs(folder) == flacs(separated[0])


def test_stereo_and_other_sample_rates_are_kept(copied_demo, weights, tmp_path):
    clips = copied_demo / "train_mp3s"
    left, rate = soundfile.read(clips / "0.mp3")
    right, _ = soundfile.read(clips / "1.mp3")
    soundfile.write(clips / "2.mp3", np.stack([left, right], axis=1), rate, format="MP3")
    soundfile.write(clips / "3.mp3", left[: 3 * 32_000], 32_000, format="MP3")
    train, _ = separate(competition.find(copied_demo), tmp_path / "vocals", RECIPE, weights=weights)
    assert soundfile.info(train.paths[2]).channels == 2
    first, second = soundfile.read(train.paths[2])[0].T
    assert np.abs(first - second).max() > 0.01
    information = soundfile.info(train.paths[3])
    assert (information.samplerate, information.frames, information.channels) == (44_100, 132_300, 1)


def test_what_is_complete_is_skipped_without_weights_or_torch(separated, small_demo):
    folder, _ = separated
    before = flacs(folder)
    code = f"""
import sys, time
from snippetkit.data import competition
from snippetkit.recipe import Recipe
from snippetkit.vocals.separation import separate
found = competition.find({str(small_demo)!r})
start = time.perf_counter()
separate(found, {str(folder)!r}, Recipe.published())
print(time.perf_counter() - start < 1, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"], done.stderr
    assert flacs(folder) == before


SCRIPT = """
import sys
from snippetkit.data import competition
from snippetkit.recipe import Recipe
from snippetkit.vocals.separation import separate
separate(competition.find(sys.argv[1]), sys.argv[2], Recipe.published(), weights=sys.argv[3])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(separated, small_demo, weights, tmp_path):
    folder = tmp_path / "vocals"
    command = [sys.executable, "-c", SCRIPT, small_demo, folder, weights]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("train/[0-9]*.flac"))) < 9 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    there = flacs(folder)
    assert 9 <= len(there) < 32
    times = {name: (folder / name).stat().st_mtime_ns for name in there if "/.part-" not in name}
    (folder / sorted(times)[0]).unlink()    # and one in the middle of a batch is missing
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert flacs(folder) == flacs(separated[0])
    kept = sorted(times)[1:]
    assert all((folder / name).stat().st_mtime_ns == times[name] for name in kept), "made again"


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
    whole = flacs(separated[0])
    there = flacs(folder)
    assert 0 < len(there) < 32 and all(whole[name] == content for name, content in there.items())
    small_disk.resize(50_000_000)
    separate(small_competition, folder, RECIPE, weights=weights)
    assert flacs(folder) == whole


def test_damaged_clips_are_named_before_any_work(damaged, weights, tmp_path):
    with pytest.raises(KitError, match=r"(?s)2 of 32 clips are bad:.*3\.mp3 is empty.*2\.mp3 decodes to"):
        separate(damaged, tmp_path / "vocals", RECIPE, weights=weights)
    assert not flacs(tmp_path)


@pytest.mark.slow
def test_damaged_clips_are_left_out_or_salvaged(damaged, weights, tmp_path):
    train, test = separate(damaged, tmp_path / "vocals", RECIPE, weights=weights, on_bad="skip")
    assert 3 not in train.paths and list(test.faults) == [2]
    assert len(flacs(tmp_path)) == 23 + 8
    salvaged, _ = soundfile.read(test.paths[2])
    assert len(salvaged) == 132_300 and salvaged[:10_000].std() > 0.001 and np.abs(salvaged[-20_000:]).max() < 1e-3


@pytest.mark.slow
def test_a_silent_clip_has_silent_vocals(copied_demo, weights, tmp_path):
    soundfile.write(copied_demo / "train_mp3s" / "0.mp3", np.zeros(132_300), 44_100, format="MP3")
    train, _ = separate(competition.find(copied_demo), tmp_path / "vocals", RECIPE, weights=weights)
    assert not soundfile.read(train.paths[0])[0].any()


# --- weights ---


def test_without_weights_there_is_one_sentence_and_nothing_is_made(small_competition, tmp_path):
    with pytest.raises(KitError, match="Spleeter's weights could not be downloaded.*--weights.*separator=none"):
        separate(small_competition, tmp_path / "vocals", RECIPE)
    assert not (tmp_path / "vocals").exists()


def test_vocals_of_other_weights_are_refused(separated, small_competition, tmp_path):
    other = checkpoint_writer.write(tmp_path / "other", checkpoint_writer.random_tensors(seed=1))
    with pytest.raises(KitError, match=r"was created differently \(different weights\)"):
        separate(small_competition, separated[0], RECIPE, weights=other)
    copy = shutil.copytree(separated[0], tmp_path / "vocals")
    (copy / "train" / "0.flac").unlink()
    with pytest.raises(KitError, match=r"was created differently \(different weights\)"):
        separate(small_competition, copy, RECIPE, weights=other)
    assert not (copy / "train" / "0.flac").exists()


@pytest.mark.parametrize("changes", [{"fast_separation": True}, {"separator": "spleeter"}])
def test_vocals_made_otherwise_are_refused(separated, small_competition, weights, changes):
    name, = changes
    with pytest.raises(KitError, match=rf"was created differently \({name}: "):
        separate(small_competition, separated[0], RECIPE.with_values(**changes), weights=weights)


def test_vocals_without_a_record_are_refused(separated, small_competition, weights, tmp_path):
    copy = shutil.copytree(separated[0], tmp_path / "vocals")
    (copy / "separation.json").unlink()
    with pytest.raises(KitError, match="has no separation.json, so how it was made is unknown"):
        separate(small_competition, copy, RECIPE, weights=weights)


def faulty(kind):
    """Weights with which the network would hear nothing but voice, or none at all."""
    voice, rest = {"silence": (-30, 30), "mixture": (30, -30)}[kind]
    return checkpoint_writer.random_tensors(**{
        "conv2d_6/kernel": np.zeros((4, 4, 1, 2), np.float32), "conv2d_6/bias": np.full(2, voice, np.float32),
        "conv2d_13/kernel": np.zeros((4, 4, 1, 2), np.float32), "conv2d_13/bias": np.full(2, rest, np.float32),
    })


@pytest.mark.parametrize("kind, sentence", [("silence", "are silent though"), ("mixture", "are the clips themselves")])
def test_weights_that_take_away_nothing_or_all_are_refused(small_competition, tmp_path, kind, sentence):
    bad = checkpoint_writer.write(tmp_path / kind, faulty(kind))
    with pytest.raises(KitError, match=sentence):
        separate(small_competition, tmp_path / "vocals", RECIPE, weights=bad)
    assert not flacs(tmp_path) and not (tmp_path / "vocals" / "separation.json").exists()


def test_silent_clips_do_not_verify_the_weights(copied_demo, tmp_path):
    for i in range(8):
        soundfile.write(copied_demo / "train_mp3s" / f"{i}.mp3", np.zeros(132_300), 44_100, format="MP3")
    bad = checkpoint_writer.write(tmp_path / "bad", faulty("silence"))
    with pytest.raises(KitError, match="are silent though the clips are not"):
        separate(competition.find(copied_demo), tmp_path / "vocals", RECIPE, weights=bad)


@pytest.mark.slow
def test_clips_without_voice_are_accepted_once_the_weights_are_verified(small_competition, tmp_path):
    # as if the rest of a folder, on which the run goes on, were instrumental
    silencing = checkpoint_writer.write(tmp_path / "weights", faulty("silence"))
    folder = tmp_path / "vocals"
    record_separation(folder, RECIPE, checkpoint.fingerprint(silencing))
    train, _ = separate(small_competition, folder, RECIPE, weights=silencing)
    assert all(path.exists() for path in train.paths.values())


def test_vocals_with_nan_are_refused(small_competition, tmp_path):
    huge = {f"conv2d_{k}/kernel": np.full((5, 5, 16 * 2**k // 2, 16 * 2**k), 1e30, np.float32) for k in range(1, 4)}
    bad = checkpoint_writer.write(tmp_path / "huge", checkpoint_writer.random_tensors(**huge))
    with pytest.raises(KitError, match="the vocals of 0.mp3 to 3.mp3 contain NaN or infinity"):
        separate(small_competition, tmp_path / "vocals", RECIPE, weights=bad)
    assert not flacs(tmp_path)


@pytest.mark.slow
def test_good_weights_are_accepted_after_damaged_ones(small_competition, weights, tmp_path):
    bad = shutil.copytree(weights, tmp_path / "bad")
    data = bad / "model.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[5_000_000] ^= 4
    data.write_bytes(content)
    with pytest.raises(KitError, match="model.data-00000-of-00001 is damaged: the checksum of conv2d"):
        separate(small_competition, tmp_path / "vocals", RECIPE, weights=bad)
    separate(small_competition, tmp_path / "vocals", RECIPE, weights=weights)


# --- what comes after ---


def test_complete_features_need_no_vocals(separated, small_competition, weights, tmp_path):
    work = Workspace(data=small_competition.root, folder=tmp_path)
    shutil.copytree(separated[0], work.vocals)
    first = prepare(small_competition, work, RECIPE)
    shutil.rmtree(work.vocals / "train")
    shutil.rmtree(work.vocals / "test")
    again = prepare(small_competition, work, RECIPE)
    assert again.fingerprint(RECIPE) == first.fingerprint(RECIPE) and not flacs(tmp_path)
    assert json.loads((work.features / "train.json").read_text())["ids"][3] == 3


def test_features_of_the_mixture_and_of_the_vocals_are_told_apart(separated, small_competition, tmp_path):
    work = Workspace(data=small_competition.root, folder=tmp_path)
    prepare(small_competition, work, RECIPE.with_values(separator="none"))
    shutil.rmtree(work.vocals)
    shutil.copytree(separated[0], work.vocals)
    with pytest.raises(KitError, match="created differently \\(separator: 'none', now 'torch'"):
        prepare(small_competition, work, RECIPE)


def test_a_folder_of_mixtures_is_refused_before_hours_of_separation(small_competition, weights, tmp_path):
    separate(small_competition, tmp_path / "vocals", RECIPE.with_values(separator="none"))
    with pytest.raises(KitError, match="created differently \\(separator: 'none', now 'torch'\\)"):
        separate(small_competition, tmp_path / "vocals", RECIPE, weights=weights)
    assert not flacs(tmp_path)


@pytest.mark.slow
def test_features_of_other_weights_are_refused_with_that_difference(separated, small_competition, tmp_path):
    work = Workspace(data=small_competition.root, folder=tmp_path)
    shutil.copytree(separated[0], work.vocals)
    prepare(small_competition, work, RECIPE)
    shutil.rmtree(work.vocals)
    other = checkpoint_writer.write(tmp_path / "other", checkpoint_writer.random_tensors(seed=1))
    separate(small_competition, work.vocals, RECIPE, weights=other)
    with pytest.raises(KitError, match=r"train.npy was created differently \(different weights\)"):
        prepare(small_competition, work, RECIPE)


# --- half precision ---


def test_fast_is_near_and_not_the_same(weights, small_competition):
    signal = audio.load(small_competition.train[0], sample_rate=separation.RATE)
    mixture = np.stack([signal, signal], axis=1)[np.newaxis]
    cpu = Device("cpu", "CPU", "bf16")
    exact, fast = (network.Network(weights, fast=fast, device=cpu)(mixture) for fast in (False, True))
    deviation = 10 * np.log10(np.square(exact).sum() / np.square(exact - fast).sum())
    assert 25 < deviation < 70


def test_fast_on_a_device_without_units_for_it_says_so(weights, capsys):
    network.Network(weights, fast=True, device=Device("cpu", "CPU", "fp32"))
    assert "fast_separation has no effect: CPU has no units for half precision" in capsys.readouterr().err


def test_tf32_is_switched_off(weights, monkeypatch):
    """Its convolutions would otherwise be computed in TF32, which is switched here as on any other device."""
    seen = []
    for owner, name in ((unet.Masks, "forward"), (unet.UNet, "silent_columns")):
        def watched(*arguments, original=getattr(owner, name), name=name):
            seen.append((name, torch.backends.cudnn.allow_tf32))
            return original(*arguments)

        monkeypatch.setattr(owner, name, watched)
    before = torch.backends.cudnn.allow_tf32
    network.Network(weights)(np.zeros((1, 44_100, 2), np.float32))
    assert set(seen) == {("forward", False), ("silent_columns", False)}
    assert torch.backends.cudnn.allow_tf32 == before


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
