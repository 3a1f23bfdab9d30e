"""Fixtures that several test files share: a small competition, a finished run of it, and members that train fast."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

# Workers of pytest-xdist share the cores. This must be set before torch is imported; child processes inherit it.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // workers)))

import checkpoint_writer

# numba caches functions of librosa on disk at their first import. Two workers that import at the same time have been
# seen to leave a cache that crashes, so the main process imports them before it starts the workers.
import librosa.core.pitch  # noqa: F401
import numpy as np
import pandas as pd
import pytest
import stub_network
import torch
from filelock import FileLock
from safetensors.torch import load_file

from snippetkit.data import competition, demo
from snippetkit.data.labels import CLASSES
from snippetkit.features.extraction import Features
from snippetkit.features.pretrained import extraction
from snippetkit.recipe import Recipe
from snippetkit.songs import folds
from snippetkit.songs.table import Songs
from snippetkit.training.data import TrainingData
from snippetkit.utils.errors import KitError
from snippetkit.utils.hardware import Device
from snippetkit.utils.releases import Release, cache_folder
from snippetkit.vocals.package import find_python
from snippetkit.vocals.weights import find_weights

# Options of `run` for a network that trains in seconds; what the tests of whole runs prove does not depend on it.
SHORT = [
    "--recipe", "published", "--set", "separator=none", "--set", "model=cnn3", "--set", "batch_size=8", "--epochs", "2",
    "--members", "2",
]


def run_kit(*arguments, **options):
    """Run ``python -m snippetkit`` in a process of its own."""
    command = [sys.executable, "-m", "snippetkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1700, **options)


def wait_for(condition, seconds=120):
    """Wait until ``condition()`` is true and return its result."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, condition
        time.sleep(0.01)
    return result


@pytest.fixture(scope="session")
def make_once(tmp_path_factory, worker_id):
    """``make_once(name, make)`` makes a folder once for all workers of pytest-xdist and returns its path."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "shared"
    root.mkdir(exist_ok=True)

    def make_once(name, make):
        with FileLock(root / f"{name}.lock"):
            if not (root / f"{name}.made").exists():
                shutil.rmtree(root / name, ignore_errors=True)      # of a worker that failed
                make(root / name)
                (root / f"{name}.made").touch()
        return root / name

    return make_once


@pytest.fixture(scope="session")
def small_demo(make_once):
    """A demo competition of 24 train and 8 test clips; read-only."""
    return make_once("competition", lambda folder: demo.make(folder, train=24, test=8))


@pytest.fixture(scope="session")
def short_run(make_once, small_demo):
    """The work folder of a finished run of the four notebooks on `small_demo`, as `SHORT` says; read-only.

    What the command printed is in ``stdout`` and ``stderr`` in it.
    """
    def make(folder):
        result = run_kit("run", "--data", small_demo, "--out", folder, *SHORT)
        assert result.returncode == 0, result.stderr
        (folder / "stdout").write_text(result.stdout)
        (folder / "stderr").write_text(result.stderr)

    return make_once("short_run", make)


@pytest.fixture
def copied_demo(small_demo, tmp_path):
    """The same, for tests that break it."""
    return shutil.copytree(small_demo, tmp_path / "competition")


@pytest.fixture
def damaged(copied_demo):
    """The same with an empty train clip, 3, and a test clip that is cut short, 2."""
    (copied_demo / "train_mp3s" / "3.mp3").write_bytes(b"")
    clip = copied_demo / "test_mp3s" / "2.mp3"
    clip.write_bytes(clip.read_bytes()[:9000])
    return competition.find(copied_demo)


@pytest.fixture(scope="session")
def small_competition(small_demo):
    return competition.find(small_demo)


@pytest.fixture(scope="session")
def real_clips(request):
    """The folder with clips of the real competition, where it lies beside the project."""
    folder = request.config.rootpath.parent / "shared" / "data" / "singers"
    if not folder.is_dir():
        pytest.skip(f"the clips of the real competition are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Random weights in the format of Spleeter's own."""
    return checkpoint_writer.write(tmp_path_factory.mktemp("weights") / "2stems", checkpoint_writer.random_tensors())


@pytest.fixture(scope="session")
def released_weights():
    """Spleeter's released weights, in the cache of the user; fetched if they can be had."""
    try:
        return find_weights()
    except KitError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def spleeter_python():
    """The Python of the environment that the Spleeter package is installed in, where there is one."""
    try:
        python = find_python()
    except KitError as error:
        pytest.skip(str(error))
    result = subprocess.run([python, "-c", "import spleeter"], capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"{python} has no spleeter: {result.stderr.strip().splitlines()[-1]}")
    return python


@pytest.fixture(scope="session")
def package_weights(spleeter_python, tmp_path_factory):
    """Random weights made by the Spleeter package itself."""
    folder = tmp_path_factory.mktemp("package") / "2stems"
    script = Path(__file__).with_name("make_spleeter_checkpoint.py")
    result = subprocess.run([spleeter_python, script, folder], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own in `folder`; `resize(bytes)` makes it larger or smaller."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def resize(size):
        subprocess.run(["mount", "-o", f"remount,size={int(size)}", folder], check=True)

    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=7m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield SimpleNamespace(folder=folder, resize=resize)
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="session")
def cpu():
    return Device("cpu", "CPU", "fp32")


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """The view ``stub_mixture``, whose network takes no time; gives its class."""
    release = Release("stub", "the stub", "1", "none", {"weights": "any"}, 0, "stub==1")
    monkeypatch.setitem(extraction.NETWORKS, "stub", extraction.Network("stub_network", release, 3, 2))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    (cache_folder(release)).mkdir(parents=True)
    (cache_folder(release) / "weights").write_text("weights")
    stub_network.Embedder.calls.clear()
    return stub_network.Embedder


@pytest.fixture
def small_recipe():
    """A member of it trains in about a second."""
    return Recipe.published().with_values(model="cnn3", epochs=3, batch_size=8, members=2, precision="fp32")


@pytest.fixture(scope="session")
def small_data():
    """Features with something to learn: each class lifts a quarter of the bands."""
    return make_data(seed=0)


def make_data(*, seed, clips=60, frames=40, bands=40, classes=4):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, clips)
    splits = {}
    for split, split_labels in {"train": labels, "test": labels[: clips // 3]}.items():
        array = generator.normal(size=(len(split_labels), frames, bands)).astype(np.float32)
        for row, label in enumerate(split_labels):
            array[row, :, label * 10 : label * 10 + 10] += 2
        splits[split] = Features(array, np.arange(len(array)), f"{split} {seed}")
    return with_songs(TrainingData(labels=labels, class_names=CLASSES[:classes], **splits), np.arange(clips) // 5)


def with_songs(data, group, fold=None):
    """The same data, whose train clips are of these songs; in three folds, unless they are given."""
    fold = folds.assign(data.labels, group, folds=3, seed=0) if fold is None else fold
    clips, test = len(group), len(data.test.ids)
    song = np.concatenate([group, np.full(test, -1)])
    table = pd.DataFrame({
        "split": ["train"] * clips + ["test"] * test, "id": [*range(clips), *range(test)],
        "song": song, "group": song, "follows": -1, "level": -20.0,
        "content": [f"{i:012x}" for i in range(clips + test)],
    })
    return replace(data, songs=Songs(table, fold))


def weights_of(folder):
    """The weights of a finished member, for comparisons to the bit."""
    return load_file(folder / "weights.safetensors")


def same_bits(one, other):
    """Whether two finished members have the same weights, logits and history, and their training state is removed."""
    for name in ("weights.safetensors", "valid_logits.npy", "test_logits.npy"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    histories = [pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (one, other)]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    assert not list(one.glob("*last.pt")) and not list(other.glob("*last.pt"))
    return True


def same_state(one, other):
    """Whether two members have the same training state after some epochs: all that the next epoch depends on."""
    states = [torch.load(folder / "last.pt", weights_only=True) for folder in (one, other)]
    for state in states:
        del state["identity"], state["precision"]
        for row in state["history"]:
            del row["seconds"], row["device"]
    scheduler, other_scheduler = (state.pop("scheduler") for state in states)
    assert scheduler == other_scheduler
    torch.testing.assert_close(*states, rtol=0, atol=0)
    return True
