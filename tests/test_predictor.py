"""A finished run predicts clips and recordings of any length as it predicted its own clips."""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import make_data, run_kit
from scipy.special import softmax

import snippetkit as sk
from snippetkit.audio import recordings
from snippetkit.data.labels import CLASSES
from snippetkit.filterbank import log_mel
from snippetkit.prediction import predictor
from snippetkit.prediction.predictor import Predictor
from snippetkit.prediction.stacking import collect_kinds
from snippetkit.recipe import LIGHT_TRAINING, Recipe
from snippetkit.run.workspace import Workspace
from snippetkit.training.data import prepare
from snippetkit.training.ensemble import train_ensemble, train_kinds
from snippetkit.training.epoch import predict
from snippetkit.training.weights import load_network
from snippetkit.utils.errors import KitError
from snippetkit.utils.storage import write_json


@pytest.fixture(scope="module")
def who(short_run, cpu):
    return Predictor(short_run, device=cpu)


@pytest.fixture(scope="module")
def signals(who, small_competition):
    """Three test clips."""
    return [recordings.load(path, **who.wanted) for path in small_competition.test[:3]]


def test_clips_are_predicted_as_in_the_submission(short_run, small_competition, tmp_path):
    folder = small_competition.test[0].parent
    result = run_kit("predict", short_run, folder, "--out", tmp_path / "table.csv", check=True)
    table = pd.read_csv(tmp_path / "table.csv")
    assert [Path(file).name for file in table["file"]] == [path.name for path in small_competition.test]
    submission, scores = (pd.read_csv(short_run / name) for name in ("submission.csv", "test_scores.csv"))
    assert table["category"].tolist() == submission["category"].tolist()
    names = [f"probability_{label}" for label in range(4)]
    np.testing.assert_allclose(table[names], scores[names], atol=0.02)     # other batches, in half precision
    first = f"{small_competition.test[0]}: {CLASSES[table['category'][0]]}, {table.loc[0, names].max():.0%}"
    assert result.stdout.startswith(first)


def test_a_recording_gets_a_timeline_and_a_damaged_file_a_sentence(short_run, small_competition, tmp_path):
    song = np.concatenate([recordings.load(path, sample_rate=22_050) for path in small_competition.test[:4]])
    soundfile.write(tmp_path / "song.flac", song, 22_050)
    (tmp_path / "notes.txt").write_text("no music")
    result = run_kit("predict", short_run, tmp_path / "song.flac", tmp_path / "notes.txt", "--out", tmp_path / "t.csv")
    assert result.returncode == 1 and "notes.txt is not audio" in result.stderr
    assert "1 of 2 files could not be predicted" in result.stderr and "Traceback" not in result.stderr
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["start"].tolist() == [*range(10)] and table["end"].tolist() == [*range(3, 13)]
    assert "song.flac: " in result.stdout and "on average; " in result.stdout and (tmp_path / "t_song.png").exists()


def test_a_missing_folder_for_the_table_is_refused_first(short_run, tmp_path):
    result = run_kit("predict", short_run, tmp_path / "no.mp3", "--out", tmp_path / "no" / "t.csv")
    assert result.returncode == 1 and f"the folder {tmp_path / 'no'} of t.csv does not exist" in result.stderr


def test_what_a_notebook_needs_has_a_short_name(short_run, small_competition, cpu):
    path = small_competition.test[0]
    assert sk.log_mel(path).shape == (299, 40)
    assert sk.log_mel(path, sk.Recipe.published().with_values(n_mels=64)).shape == (299, 64)
    table = sk.load(short_run, device=cpu).predict(path)
    assert table.columns.tolist()[:4] == ["start", "end", "category", "class"] and len(table) == 1
    assert len(sk.SnippetDataset(np.zeros((2, 299, 40)))) == 2 and sk.models.build("cnn3", classes=4, dropout=0.2)
    assert {"load", "log_mel"} <= set(dir(sk))
    with pytest.raises(AttributeError, match="module 'snippetkit' has no attribute 'lod'"):
        sk.lod


def test_files_are_listed_by_number(tmp_path):
    for name in ("10.mp3", "9.mp3", "b.wav", "a.ogg"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "1.flac").touch()
    names = ["a.ogg", "b.wav", "9.mp3", "10.mp3"]
    assert [path.name for path in recordings.recordings_in(tmp_path)] == names
    assert [path.name for path in recordings.recordings_below(tmp_path)] == [*names, "1.flac"]


# --- standardised features, several runs, several kinds ---


@pytest.fixture
def trained(cpu, tmp_path):
    """Train the members of a recipe on random features of 24 clips; gives the work folder."""

    def trained(name, seed, recipe):
        train_kinds(tmp_path / name, recipe, make_data(seed=seed, clips=24, frames=299), devices=[cpu])
        return tmp_path / name

    return trained


STANDARDISED = Recipe(**LIGHT_TRAINING | {"split": "songs"}).with_values(
    separator="none", model="cnn3", members=2, folds=3, epochs=1, batch_size=16, crop=0,
)


def test_new_sound_is_standardised_by_the_statistics_of_each_member(trained, small_competition, cpu):
    """So a weight file and its record are all that prediction needs; no feature array is there."""
    folder = trained("run", 0, STANDARDISED)
    path = small_competition.test[0]
    data, signal = make_data(seed=0, clips=24, frames=299), recordings.load(path, sample_rate=16_000)
    features = log_mel(signal, STANDARDISED)[np.newaxis].astype(np.float32)
    logits = []
    for member in (0, 1):
        train, _, _ = data.datasets(STANDARDISED, member, cpu)
        clips = sk.SnippetDataset(features, statistics=train.statistics)
        network = load_network(folder / "members" / f"member_{member:02d}", STANDARDISED, classes=4, device=cpu)
        logits.append(predict(network, clips, cpu))
    expected = softmax(np.mean(logits, axis=0), axis=1)
    np.testing.assert_allclose(Predictor(folder, device=cpu).probabilities(signal), expected, atol=1e-5)


def test_kinds_are_combined_as_in_the_submission(stub, small_competition, cpu, tmp_path):
    recipe = STANDARDISED.with_values(classifiers="stub_mixture,stub_mixture_frames", sequence_members=3)
    work = Workspace(data=small_competition.root, folder=tmp_path)
    data = prepare(small_competition, work, recipe)
    train_kinds(tmp_path, recipe, data, devices=[cpu])
    with pytest.raises(KitError, match="does not combine the kinds of members that are there. Run the notebook 04"):
        Predictor(tmp_path, device=cpu)
    result = collect_kinds(tmp_path, data)
    write_json(work.report, {"kinds": result.stack.kinds})
    tables = [table for _, table in Predictor(tmp_path, device=cpu).predict_all(small_competition.test)]
    probabilities = pd.concat(tables)[[f"probability_{label}" for label in range(4)]]
    np.testing.assert_allclose(probabilities, softmax(result.test_scores, axis=1), atol=0.01)


def test_only_the_members_of_the_submission_are_used(trained, small_competition, cpu):
    """As after ``run --members 1`` in a folder that has two."""
    folder = trained("run", 0, STANDARDISED)
    signal = recordings.load(small_competition.test[0], sample_rate=16_000)
    both = Predictor(folder, device=cpu).probabilities(signal)
    write_json(folder / "report.json", {"members": 1, "kinds": [], "beside": []})
    one = Predictor(folder, device=cpu).probabilities(signal)
    shutil.rmtree(folder / "members" / "member_01")
    assert np.array_equal(Predictor(folder, device=cpu).probabilities(signal), one) and not np.allclose(one, both)


def test_runs_of_other_rates_are_each_given_their_own(trained, small_competition, cpu):
    one = trained("one", 0, STANDARDISED)
    other = trained("other", 1, STANDARDISED.with_values(
        sample_rate=22_050, hop=220, f_max=11_025, n_fft=2048, frame_length=551,
    ))
    path = small_competition.test[0]
    alone = [Predictor(folder, device=cpu).predict(path).filter(like="probability") for folder in (one, other)]
    both = Predictor(one, beside=[other], device=cpu).predict(path).filter(like="probability")
    expected = softmax(sum(np.log(table.to_numpy()) for table in alone) / 2, axis=1)
    np.testing.assert_allclose(both, expected, atol=1e-3)


def test_runs_of_another_separator_are_refused(trained, cpu):
    one, other = trained("one", 0, STANDARDISED), trained("other", 1, STANDARDISED.with_values(separator="torch"))
    with pytest.raises(KitError, match="the runs have different separators"):
        Predictor(one, beside=[other], device=cpu)


@pytest.mark.slow
def test_mono_and_stereo_long_and_short_recordings_keep_their_order(
    stub, small_competition, cpu, tmp_path, monkeypatch
):
    monkeypatch.setattr(predictor, "_BLOCK", 4)
    recipe = STANDARDISED.with_values(members=0, classifiers="stub_mixture")
    data = prepare(small_competition, Workspace(data=small_competition.root, folder=tmp_path / "run"), recipe)
    train_kinds(tmp_path / "run", recipe, data, devices=[cpu])
    mono = recordings.load(small_competition.test[0], sample_rate=44_100)
    soundfile.write(tmp_path / "stereo.wav", np.stack([mono, mono], axis=1), 44_100, subtype="FLOAT")
    soundfile.write(tmp_path / "mono.wav", mono, 44_100, subtype="FLOAT")
    soundfile.write(tmp_path / "long.wav", np.tile(mono, 3), 44_100, subtype="FLOAT")
    soundfile.write(tmp_path / "silent.wav", 0 * mono, 44_100)
    paths = [tmp_path / f"{name}.wav" for name in ("mono", "missing", "stereo", "long", "silent")]
    found = list(Predictor(tmp_path / "run", device=cpu).predict_all(paths))
    assert [path for path, _ in found] == paths
    assert isinstance(found[1][1], KitError) and "missing.wav cannot be read" in str(found[1][1])
    assert [len(found[i][1]) for i in (0, 2, 3, 4)] == [1, 1, 7, 1]
    tables = {path.stem: table.filter(like="probability") for path, table in found if path.stem != "missing"}
    np.testing.assert_allclose(tables["mono"], tables["stereo"], atol=1e-5)
    np.testing.assert_allclose(tables["long"].iloc[[0]], tables["mono"], atol=1e-5)


def test_runs_beside_are_averaged_member_by_member(trained, small_competition, cpu):
    one, other = trained("one", 0, STANDARDISED), trained("other", 1, STANDARDISED.with_values(members=1, seed=5))
    signal = recordings.load(small_competition.test[0], sample_rate=16_000)
    logs = [np.log(Predictor(folder, device=cpu).probabilities(signal)) for folder in (one, other)]
    expected = softmax((2 * logs[0] + logs[1]) / 3, axis=1)
    both = Predictor(one, beside=[other], device=cpu).probabilities(signal)
    np.testing.assert_allclose(both, expected, atol=1e-3)


def test_a_recording_is_predicted_once_a_second(who, signals):
    probabilities = who.probabilities(np.concatenate(signals))
    assert probabilities.shape == (7, 4) and np.allclose(probabilities.sum(axis=1), 1)
    for window, signal in zip((0, 3, 6), signals):
        np.testing.assert_allclose(probabilities[window], who.probabilities(signal)[0], atol=1e-4)


def test_a_short_recording_is_followed_by_silence(who, signals):
    short = signals[0][: len(signals[0]) // 2]
    padded = np.concatenate([short, np.zeros(len(signals[0]) - len(short), np.float32)])
    assert np.array_equal(who.probabilities(short), who.probabilities(padded))


STAND_IN = """#!{python}
import sys
import numpy as np
print("ready", flush=True)
for line in sys.stdin:
    mixture, vocals = line.strip().split("\\t")
    np.save(vocals, np.load(mixture) / 2)
    print("done", flush=True)
"""


@pytest.fixture(params=["stand-in", pytest.param("package", marks=pytest.mark.slow)])
def spleeter_weights(request, tmp_path, monkeypatch):
    """Weights for the Spleeter package, or for a program that takes its place and halves all samples."""
    if request.param == "package":
        return request.getfixturevalue("package_weights")
    program = tmp_path / "python"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("SPLEETER_PYTHON", str(program))
    return request.getfixturevalue("weights")


def test_the_spleeter_package_separates_until_nobody_needs_it(spleeter_weights, small_competition, cpu, tmp_path):
    recipe = Recipe.published().with_values(
        separator="spleeter", model="cnn3", split="songs", folds=3, members=1, epochs=1, batch_size=16,
    )
    train_ensemble(tmp_path / "members", recipe, make_data(seed=0, clips=24, frames=299), devices=[cpu])
    who = Predictor(tmp_path, weights=spleeter_weights, device=cpu)
    signal = recordings.load(small_competition.test[0], **who.wanted)
    for seconds in (3, 5):      # of two recordings
        probabilities = who.probabilities(np.resize(signal, (seconds * 44_100, signal.shape[1])))
        assert probabilities.shape == (seconds - 2, 4) and np.isfinite(probabilities).all()
    temporary = set(Path(tempfile.gettempdir()).glob("snippetkit-spleeter-*"))
    del who
    assert len(temporary - set(Path(tempfile.gettempdir()).glob("snippetkit-spleeter-*"))) == 1


def test_a_folder_without_members_is_refused(tmp_path):
    with pytest.raises(KitError, match="is not the work folder of a run. Give one"):
        Predictor(tmp_path)
