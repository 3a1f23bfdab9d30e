"""The real package as a backend, and the network held against it."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from snippetkit import audio
from snippetkit.audio import level
from snippetkit.recipe import Recipe
from snippetkit.utils.errors import KitError
from snippetkit.vocals import package
from snippetkit.vocals.comparison import deviation, snr
from snippetkit.vocals.separation import RATE, open_backend, separate, stereo

RECIPE = Recipe.published().with_values(separator="spleeter")


def sound(seconds, generator):
    """Two channels of tones that come and go over noise; loud and soft ones in turn."""
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [
        np.sin(2 * np.pi * generator.uniform(80, 12_000) * time) * np.square(np.sin(generator.uniform(0.5, 5) * time))
        for _ in range(8)
    ]
    mixed = generator.normal(size=(2, 8)) @ tones + 0.05 * generator.normal(size=(2, len(time)))
    return (generator.choice([0.001, 0.1, 0.3]) * mixed.T).astype(np.float32)


@pytest.fixture(scope="module")
def both(package_weights):
    with open_backend("spleeter", package_weights) as spleeter, open_backend("torch", package_weights) as network:
        yield spleeter, network


@pytest.mark.slow
@pytest.mark.parametrize("mono", [False, True])
@pytest.mark.parametrize("case, seconds", [*enumerate([0.05, 0.1, 0.5, 1, 2.9, 3, 3, 3, 7.5, 11.9, 12, 30])])
def test_network_equals_the_package(both, case, seconds, mono):
    mixture = stereo(sound(seconds, np.random.default_rng(case))[:, : 1 if mono else 2])
    expected, vocals = (backend(mixture[np.newaxis])[0] for backend in both)
    assert expected.shape == vocals.shape == mixture.shape
    assert -30 < snr(mixture, expected) < 30, "the package's vocals are neither the mixture nor nothing"
    assert snr(expected, vocals) >= 90


@pytest.fixture(scope="module")
def released(spleeter_python, released_weights):
    with open_backend("spleeter", released_weights) as spleeter, open_backend("torch", released_weights) as network:
        yield spleeter, network


def voice(real_clips):
    return stereo(audio.load(real_clips / "train_mp3s" / "2.mp3", sample_rate=RATE, mono=False))


def instruments(real_clips):
    return stereo(audio.load(real_clips / "train_mp3s" / "129.mp3", sample_rate=RATE, mono=False))


@pytest.mark.slow
@pytest.mark.parametrize("mixture, least", [
    (voice, (95, 95)), (instruments, (60, 110)),
    (lambda clips: np.stack([voice(clips)[:, 0], instruments(clips)[:, 0]], axis=1), (95, 95)),
    (lambda clips: np.zeros((132_300, 2), np.float32), (math.inf, math.inf)),
], ids=["a voice", "instruments", "one left, the other right", "silence"])
def test_with_the_released_weights_the_network_equals_the_package(released, real_clips, mixture, least):
    mixture = mixture(real_clips)
    expected, vocals = (backend(mixture[np.newaxis])[0] for backend in released)
    result = deviation(mixture, expected, vocals)
    assert result["agrees"] and result["below_vocals"] >= least[0] and result["below_mixture"] >= least[1], result


@pytest.mark.slow
def test_released_weights_keep_a_voice_and_remove_instruments(released_weights, real_clips):
    with open_backend("torch", released_weights) as network:
        shares = [level(network(mixture[np.newaxis])) - level(mixture)
                  for mixture in (voice(real_clips), instruments(real_clips))]
    assert shares[0] > -3 and shares[1] < -30, shares


@pytest.mark.slow
def test_spleeters_own_separator_says_the_same(both, package_weights, spleeter_python, tmp_path):
    """The backend goes by the estimator, since `Separator` builds its graph anew for every clip."""
    mixture = sound(3, np.random.default_rng(99))
    np.save(tmp_path / "clip.npy", mixture)
    code = """
import sys, numpy as np
from spleeter.separator import Separator
separator = Separator("spleeter:2stems", multiprocess=False)
np.save(sys.argv[2], separator.separate(np.load(sys.argv[1]))["vocals"])
"""
    command = [spleeter_python, "-c", code, tmp_path / "clip.npy", tmp_path / "vocals.npy"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "MODEL_PATH": package_weights.parent})
    assert snr(np.load(tmp_path / "vocals.npy"), both[0](mixture[np.newaxis])[0]) > 120


@pytest.mark.slow
def test_a_competition_is_separated_by_the_package(package_weights, small_competition, tmp_path):
    # A folder that may not be written to, and names the place where the weights once were.
    folder = shutil.copytree(package_weights, tmp_path / "attached")
    (folder / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/model"\n')
    folder.chmod(0o555)
    spleeter, _ = separate(small_competition, tmp_path / "spleeter", RECIPE, weights=folder)
    torch_recipe = RECIPE.with_values(separator="torch")
    torch, _ = separate(small_competition, tmp_path / "torch", torch_recipe, weights=package_weights)
    assert len(list((tmp_path / "spleeter").glob("*/*.flac"))) == 32 and spleeter.weights == torch.weights
    for i in (0, 13, 23):
        one, other = (soundfile.read(sources.paths[i], dtype="int16")[0].astype(int) for sources in (spleeter, torch))
        assert np.abs(one - other).max() <= 1, "no further apart than the rounding to 16 bit"


# --- when it fails ---


# Starts like the package, then fails.
FAKE = """#!{python}
import os, sys
import numpy as np
print("ready", flush=True)
for line in sys.stdin:
    {failure}
"""


@pytest.mark.parametrize("failure, status, message", [
    ("sys.exit()", 0, r"Spleeter stopped with status 0 \(without output\)"),
    ("sys.stderr.buffer.write(b'out of m\\xffmory'); sys.exit()", 0, r"0 \(out of m.mory\).*Separated clips are kept"),
    ("os.kill(os.getpid(), 9)", -9, "process was killed by signal 9.*Separated clips are kept: run again"),
    ("np.save(line.strip().split('\\t')[1], np.zeros((5, 2))); print('done', flush=True)", -9,
     r"vocals of shape \(5, 2\) for a clip of shape \(44100, 2\)"),
])
def test_failure_of_the_package_is_reported_and_leaves_nothing(
    weights, tmp_path, monkeypatch, failure, status, message
):
    """The package has been seen to fail and to exit with 0."""
    fake = tmp_path / "python"
    fake.write_text(FAKE.format(python=sys.executable, failure=failure))
    fake.chmod(0o755)
    monkeypatch.setenv("SPLEETER_PYTHON", str(fake))
    with package.Package(weights) as backend:
        for _ in range(2):      # the second time it has ended before
            with pytest.raises(KitError, match=message):
                backend(np.zeros((1, 44_100, 2), np.float32))
    assert not backend._folder.exists() and backend._process.poll() == status


@pytest.mark.slow
def test_a_package_that_found_no_weights_does_not_go_on(spleeter_python, tmp_path):
    (tmp_path / "2stems").mkdir()
    worker = Path(package.__file__).with_name("spleeter_worker.py")
    environment = {**os.environ, "MODEL_PATH": str(tmp_path)}
    result = subprocess.run([spleeter_python, worker], input="", capture_output=True, text=True, env=environment)
    assert result.returncode == 1 and "ready" not in result.stdout and "no weights in" in result.stderr


def test_a_python_without_spleeter_is_reported(weights, monkeypatch):
    monkeypatch.setenv("SPLEETER_PYTHON", sys.executable)
    sentence = "Spleeter stopped with status 1 .*ModuleNotFoundError.*Its Python is .*Repair it, or make it in"
    with pytest.raises(KitError, match=sentence), package.Package(weights):
        pass


def test_without_its_environment_there_is_a_sentence_and_no_other_backend(
    small_competition, weights, monkeypatch, tmp_path
):
    monkeypatch.setenv("SPLEETER_PYTHON", str(tmp_path / "nowhere"))
    with pytest.raises(KitError, match="SPLEETER_PYTHON is .*nowhere, which is not a program: make it .*venv-spleeter"):
        separate(small_competition, tmp_path / "vocals", RECIPE, weights=weights)
    assert not list((tmp_path / "vocals").glob("*/*.flac"))


def test_weights_are_checked_before_the_package_sees_them(weights, monkeypatch, tmp_path):
    monkeypatch.setenv("SPLEETER_PYTHON", sys.executable)
    broken = shutil.copytree(weights, tmp_path / "broken")
    os.truncate(broken / "model.data-00000-of-00001", 1000)
    with pytest.raises(KitError, match="is cut short"):
        package.Package(broken)
