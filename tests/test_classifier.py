"""Classifiers on pretrained features: kernel machines as members, and how kinds of members are combined."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import run_kit, same_bits
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import StandardScaler

from snippetkit.data.competition import find as find_competition
from snippetkit.data.labels import CLASSES
from snippetkit.features.extraction import Features
from snippetkit.features.pretrained.extraction import View
from snippetkit.features.pretrained.releases import VOICE_ENCODER
from snippetkit.prediction import scores, stacking
from snippetkit.recipe import NETWORKS, Recipe
from snippetkit.run import earlier_output
from snippetkit.run.other_runs import collect_beside
from snippetkit.songs import folds
from snippetkit.training import classifier, ensemble
from snippetkit.training import member as member_module
from snippetkit.training.members import finished_kinds, finished_recipe, kind_folder, member_folder
from snippetkit.training.weights import load_network
from snippetkit.utils.errors import KitError, Stopped
from snippetkit.utils.hardware import Device
from snippetkit.utils.releases import find

CPU = Device("cpu", "CPU", "bf16")
VOICE, BOTH, FRAMES = "voice_mixture", "voice_mixture+notes_mixture", "voice_mixture_frames"
RECIPE = Recipe.published().with_values(
    split="songs", folds=3, separator="none", members=0, classifiers=f"{VOICE},{BOTH}", precision="bf16",
    model="cnn3", epochs=1, batch_size=8,
)


@pytest.fixture(scope="module")
def data(small_data):
    """The small data with two views, of which each tells two pairs of classes apart."""
    generator = np.random.default_rng(1)
    views = {}
    for name, bit, numbers in ((VOICE, 1, 12), ("notes_mixture", 2, 90)):
        views[name] = {}
        for split, labels in {"train": small_data.labels, "test": small_data.labels[:20]}.items():
            array = generator.normal(size=(len(labels), numbers)).astype(np.float32)
            array[:, :6] += 2.0 * (labels[:, np.newaxis] & bit > 0)
            array[:, 7] = 5     # a number that never changes
            views[name][split] = Features(array, np.arange(len(labels)), f"{name} {split}")
    views[FRAMES] = {}
    for split, labels in {"train": small_data.labels, "test": small_data.labels[:20]}.items():
        array = generator.normal(size=(len(labels), *View.named(FRAMES).shape)).astype(np.float16)
        for bit, channels in ((1, slice(0, 60)), (2, slice(60, 120))):      # to be seen from the middle on
            array[:, 20:, channels] += (labels & bit > 0)[:, np.newaxis, np.newaxis]
        views[FRAMES][split] = Features(array, np.arange(len(labels)), f"{FRAMES} {split}")
    return replace(small_data, views=views)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    recipe = RECIPE.with_values(members=3)
    finished = ensemble.train_kinds(folder, recipe, data, devices=[CPU])
    assert finished == {VOICE: [0, 1, 2], BOTH: [0, 1, 2], NETWORKS: [0, 1, 2]}
    return folder


@pytest.mark.parametrize("views", [VOICE, BOTH], ids=["fewer numbers than clips", "more numbers than clips"])
def test_scores_are_those_of_kernel_ridge_regression(data, views):
    recipe = RECIPE.kinds()[views].with_values(components=1000)
    machine = classifier.fit(data, recipe, 1)
    train, valid = folds.split(data, recipe, 1)
    numbers = data.views_of(recipe, "train", np.arange(len(data.labels)))[:]
    scaler = StandardScaler().fit(numbers[train])
    inside, outside = scaler.transform(numbers[train]), scaler.transform(numbers[valid])
    for part in (inside, outside):  # all views have the same share
        part[:, :12] /= np.sqrt(12)
        part[:, 12:] /= np.sqrt(90)
    gamma = recipe.width / np.square(inside).sum(axis=1).mean()
    targets = 2.0 * np.eye(4)[data.labels[train]] - 1
    if views == BOTH:   # of a new clip, what lies outside the space of the training clips is not seen
        axes = np.linalg.svd(inside, full_matrices=False)[2][: len(inside) - 1]
        inside, outside = inside @ axes.T, outside @ axes.T
    expected = KernelRidge(alpha=recipe.ridge, kernel="rbf", gamma=gamma).fit(inside, targets).predict(outside)
    features = torch.from_numpy(numbers[valid])[:, None, None]
    np.testing.assert_allclose(machine(features) / machine.temperature, expected, atol=1e-3)


def test_fewer_components_keep_the_largest_variance(data):
    machine = classifier.fit(data, RECIPE.kinds()[BOTH].with_values(components=3), 0)
    assert machine.projection.shape == (102, 3)
    variances = machine.clips.var(dim=0)
    assert (variances[:-1] >= variances[1:]).all()


def test_probabilities_are_calibrated_on_other_songs(data):
    """Noise alone gives the shares of the classes, not certainty."""
    generator = np.random.default_rng(0)
    noise = Features(generator.normal(size=(60, 12)).astype(np.float32), np.arange(60), "noise")
    machine = classifier.fit(replace(data, views={VOICE: {"train": noise}}), RECIPE.kinds()[VOICE], 0)
    logits = machine(torch.from_numpy(noise.array)[:, None, None])
    assert torch.softmax(logits, dim=1).max() < 0.7


def test_a_member_is_the_same_to_the_bit_wherever_it_was_stopped(trained, data, tmp_path):
    kind = RECIPE.kinds()[BOTH]
    folder = shutil.copytree(kind_folder(trained, BOTH), tmp_path / BOTH)
    member = member_folder(folder, 1)
    for names in [("done.json",), ("done.json", "valid_logits.npy"), ("done.json", "weights.safetensors"),
                  ("done.json", "weights.safetensors", "history.csv")]:
        for name in names:
            (member / name).unlink()
        assert ensemble.train_ensemble(folder, kind, data, devices=[CPU]) == [0, 1, 2]
        assert same_bits(member, member_folder(kind_folder(trained, BOTH), 1))
    loaded = load_network(member, kind, classes=4, device=CPU)
    test = torch.from_numpy(data.views_of(kind, "test", np.arange(len(data.test.ids)))[:])[:, None, None]
    np.testing.assert_allclose(loaded(test), np.load(member / "test_logits.npy"), atol=1e-5)


def test_a_network_on_views_over_time_is_trained_the_same_to_the_bit_wherever_it_was_stopped(
    data, tmp_path, monkeypatch
):
    kind = RECIPE.with_values(classifiers=FRAMES).kinds()[FRAMES].with_values(members=1, batch_size=8, ema_decay=0.0)
    assert ensemble.train_ensemble(tmp_path / "whole", kind, data, devices=[CPU]) == [0]
    saves = []

    def save_state(*arguments, original=member_module.save_state):
        original(*arguments)
        saves.append(arguments)
        if len(saves) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(member_module, "save_state", save_state)
    with pytest.raises(Stopped, match=f"member_00 has 4 of {kind.epochs} epochs"):
        ensemble.train_ensemble(tmp_path / "stopped", kind, data, devices=[CPU])
    ensemble.train_ensemble(tmp_path / "stopped", kind, data, devices=[CPU])
    whole, stopped = (member_folder(tmp_path / name, 0) for name in ("whole", "stopped"))
    assert len(saves) == kind.epochs and same_bits(whole, stopped)
    result = scores.collect(tmp_path / "whole", data)
    assert (result.valid_scores.argmax(axis=1) == result.valid_labels).mean() > 0.6
    loaded = load_network(whole, kind, classes=4, device=CPU)
    assert type(loaded).__name__ == "SequenceNetwork"


def test_a_kind_on_views_over_time_has_its_own_training():
    recipe = RECIPE.with_values(classifiers=f"{VOICE},{FRAMES}", sequence_members=2, folds=4)
    kinds = recipe.kinds()
    assert kinds[FRAMES].is_network and kinds[FRAMES].members == 2 and not kinds[VOICE].is_network
    assert kinds[VOICE].members == 4
    other = {"model": "resnet18", "epochs": 3, "batch_size": 8, "lr": 0.1, "weight_decay": 1.0, "dropout": 0.9,
             "schedule": "cosine_restarts", "label_smoothing": 0.5, "class_weights": True, "focal": 2.0, "mixup": 1.0,
             "crop": 100, "time_mask": 9, "band_mask": 9, "ema_decay": 0.5, "standardise": True}
    assert recipe.with_values(**other).kinds()[FRAMES].part("member") == kinds[FRAMES].part("member")
    others = recipe.with_values(oversample=True).kinds()
    assert others[FRAMES].part("member") == kinds[FRAMES].part("member")
    trained = {name for name, field in Recipe.__dataclass_fields__.items() if field.metadata["part"] == "member"}
    assert trained - other.keys() == {"oversample", "seed"}


def test_another_recipe_is_refused_and_that_of_the_networks_does_not_matter(trained, data):
    other = RECIPE.with_values(members=3, epochs=2)
    folder = kind_folder(trained, VOICE)
    assert ensemble.train_ensemble(folder, other.kinds()[VOICE], data, devices=[CPU]) == [0, 1, 2]
    with pytest.raises(KitError, match="was created differently .ridge: 0.25, now 2.0"):
        ensemble.train_ensemble(folder, RECIPE.with_values(ridge=2.0).kinds()[VOICE], data, devices=[CPU])


def test_kinds_are_found_and_combined(trained, data):
    assert finished_kinds(trained) == {NETWORKS: [0, 1, 2], VOICE: [0, 1, 2], BOTH: [0, 1, 2]}
    assert finished_recipe(trained).kinds().keys() == {NETWORKS, VOICE, BOTH}
    result = stacking.collect_kinds(trained, data)
    kinds = {part["kind"]: part for part in result.stack.kinds}
    assert kinds.keys() == {NETWORKS, VOICE, BOTH} and kinds[BOTH]["accuracy"] > kinds[VOICE]["accuracy"] + 0.1
    labels = data.labels[result.valid_clips]
    assert (result.valid_scores.argmax(axis=1) == labels).mean() > kinds[VOICE]["accuracy"] + 0.05
    assert (result.predictions == data.labels[:20]).mean() > 0.6
    alone = scores.collect(kind_folder(trained, BOTH), data)
    assert kinds[BOTH]["accuracy"] == (alone.valid_scores.argmax(axis=1) == alone.valid_labels).mean()


def test_kinds_that_the_recipe_does_not_have_are_refused(trained, data):
    with pytest.raises(KitError, match=f"{VOICE}: this recipe has no members of that kind"):
        ensemble.train_kinds(trained, RECIPE.with_values(members=3, classifiers=BOTH), data, devices=[CPU])


def test_kinds_of_another_split_are_not_combined(trained, data):
    kinds = {kind: scores.collect(kind_folder(trained, kind), data) for kind in (VOICE, BOTH)}
    kinds[BOTH] = replace(kinds[BOTH], recipe=kinds[BOTH].recipe.with_values(split="random"))
    with pytest.raises(KitError, match=r"have another split, so they cannot be combined"):
        stacking.combine(kinds, data)


def test_one_fold_alone_is_combined_by_folds_of_its_own_songs(trained, data, tmp_path):
    for kind in (VOICE, BOTH):
        source = member_folder(kind_folder(trained, kind), 0)
        shutil.copytree(source, member_folder(kind_folder(tmp_path, kind), 0))
    result = stacking.collect_kinds(tmp_path, data)
    assert len(result.valid_clips) < 60 and np.isfinite(result.valid_scores).all() and result.stack.mean > 0


def test_other_runs_are_not_averaged_with_classifiers(trained, data):
    result = stacking.collect_kinds(trained, data)
    with pytest.raises(KitError, match="--beside averages networks, and this run has classifiers"):
        collect_beside(result, data, [trained], None)


@pytest.mark.slow
def test_networks_are_trained_side_by_side_with_views_in_the_data(data, tmp_path):
    finished = ensemble.train_kinds(tmp_path, RECIPE.with_values(members=2), data, devices=[CPU] * 2)
    assert finished[NETWORKS] == [0, 1] and finished[BOTH] == [0, 1, 2]


def test_a_combination_does_not_see_the_labels_that_it_predicts(data):
    generator = np.random.default_rng(0)
    logits = [generator.normal(size=(60, 4)) for _ in range(2)]
    fold = np.arange(60) % 3
    before = stacking._out_of_fold(logits, data.labels, fold)
    labels = np.where(fold == 0, (data.labels + 1) % 4, data.labels)
    after = stacking._out_of_fold(logits, labels, fold)
    np.testing.assert_array_equal(before[fold == 0], after[fold == 0])
    assert (before[fold != 0] != after[fold != 0]).any()


def test_an_earlier_sessions_classifiers_are_copied(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "input" / "earlier")
    (tmp_path / "work").mkdir()
    earlier_output.copy_earlier_output(tmp_path / "work", tmp_path / "input", weights=False)
    assert finished_kinds(tmp_path / "work") == finished_kinds(trained)
    assert not list((tmp_path / "work").rglob("*.safetensors"))


@pytest.mark.parametrize("values, message", [
    ({"classifiers": "voice_mixture+"}, "classifiers=voice_mixture. is invalid. Join the views"),
    ({"classifiers": "voice_mixture+notes_mixture,notes_mixture+voice_mixture"}, "and name each once"),
    ({"classifiers": "voice_mixture+notes_mixture_frames"}, "all views of a kind must end in _frames, or none"),
    ({"classifiers": "voice_vocals"}, "views of the vocals need them separated.*set classifiers= too"),
])
def test_contradictions_are_refused(values, message):
    with pytest.raises(KitError, match=message):
        RECIPE.with_values(**values)


def test_without_networks_and_classifiers_there_is_nothing_to_train():
    with pytest.raises(KitError, match="members=0 and no classifiers: there is nothing to train"):
        RECIPE.with_values(classifiers="").kinds()


def test_an_unknown_view_is_refused_before_anything_is_made(tmp_path):
    result = run_kit("run", "--out", tmp_path / "out", "--recipe", "quick", "--set", "classifiers=voice_mix")
    assert result.returncode == 1 and "there is no view 'voice_mix'. Choose one of" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_of_classifiers_and_networks(small_demo, tmp_path):
    try:
        find(VOICE_ENCODER)
    except KitError as error:
        pytest.skip(str(error))
    command = [
        "run", "--data", small_demo, "--out", tmp_path, "--recipe", "quick", "--set", "separator=none",
        "--set", "folds=2", "--set", "semitones=1", "--set", "duets=6",
    ]
    result = run_kit(*command, "--set", "classifiers=voice_mixture", check=True)
    assert "1 member per clip" in result.stdout and (tmp_path / "submission.csv").exists()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kinds"] == [] and report["members"] == 2 and report["members_wanted"] == 2
    before = (tmp_path / "features" / "pretrained" / "voice_mixture_train.npy").stat()
    kinds = ["voice_mixture", "voice_mixture_frames"]
    more = ["--set", f"classifiers={','.join(kinds)}", "--set", "sequence_members=2"]
    run_kit(*command, *more, "--set", "model=cnn3", "--epochs", 1, "--members", 2, check=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert [kind["kind"] for kind in report["kinds"]] == ["networks", *kinds] and report["members"] == 6
    result = run_kit("predict", tmp_path, find_competition(small_demo).test[0], check=True)
    submission = pd.read_csv(tmp_path / "submission.csv")
    assert f": {CLASSES[submission['category'][0]]}, " in result.stdout
    assert any("combined by a weight for each" in note for note in report["notes"])
    assert (tmp_path / "features" / "pretrained" / "voice_mixture_train.npy").stat() == before
