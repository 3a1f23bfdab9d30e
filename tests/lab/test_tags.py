"""Several labels per recording: tables are read, folds keep groups together, tags and columns are learned, resume."""

import tomllib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from click.testing import CliRunner
from conftest import same_bits

from snippetkit.__main__ import main
from snippetkit.lab.commands import tags as command
from snippetkit.lab.tags import demo, evaluation, folds, objectives, training
from snippetkit.lab.tags.table import find_table, read_labels
from snippetkit.utils.clock import Clock
from snippetkit.utils.errors import KitError
from snippetkit.utils.paths import project_folder

RATE = 16_000
FILES = [
    "f/american_bach_soloists-j_s__bach_solo_cantatas-01-bwv54__i_aria-30-59.mp3",
    "f/american_bach_soloists-j_s__bach_solo_cantatas-02-bwv54__ii_recitative-0-29.mp3",
    "d/electric_frankenstein-sick_songs-01-action_high-117-146.mp3",
    "e/steven_devine-portrait_of_an_english_harpsichord-01-lesson_1_in_g_major-0-29.mp3",
]


def write_magnatagatune(folder):
    """A small file in the format of annotations_final.csv: tabs, every value in quotes, lines that end in CRLF."""
    rows = [["clip_id", "no voice", "classical", "hard rock", "mp3_path"]]
    values = [("0", "1", "0"), ("1", "1", "0"), ("0", "0", "1"), ("1", "1", "0")]
    rows += [[str(2 + 4 * i), *tags, file] for i, (tags, file) in enumerate(zip(values, FILES))]
    content = "".join("\t".join(f'"{value}"' for value in row) + "\r\n" for row in rows)
    (folder / "annotations_final.csv").write_bytes(content.encode())
    return folder / "annotations_final.csv"


def write_tones(folder, artists=6, recordings=4):
    """Recordings of half a second, in which a low and a high tone sound or not, with tables of tags and of classes."""
    time, rows = np.arange(RATE // 2) / RATE, []
    for i in range(artists * recordings):
        low, high = i % 2, i // 2 % 2
        rng = np.random.default_rng(i)
        signal = rng.normal(0, 0.02, len(time))
        for level, hz in ((low, rng.uniform(180, 220)), (high, rng.uniform(1800, 2200))):
            signal += 0.1 * level * np.sin(2 * np.pi * hz * time)
        soundfile.write(folder / f"{i}.wav", signal, RATE)
        rows.append({"file": f"{i}.wav", "artist": f"artist {i // recordings}", "low": low, "high": high})
    table = pd.DataFrame(rows)
    table.to_csv(folder / "tags.csv", index=False)
    names = table.assign(low=table["low"].map({0: "none", 1: "tone"}), high=table["high"] + 2 * table["low"])
    names["high"] = names["high"].map({0: "silent", 1: "high", 2: "silent", 3: "high"})
    names.rename(columns={"low": "bass", "high": "treble"}).to_csv(folder / "columns.csv", index=False)


@pytest.fixture(scope="module")
def tones(make_once):
    def make(folder):
        folder.mkdir()
        write_tones(folder)

    return make_once("tones", make)


@pytest.fixture
def recipe():
    settings = ["precision=fp32", "batch_size=4", "lr=0.003", "hop=256"]
    return training.tag_recipe(seconds=0.5, folds=3, epochs=16).with_settings(settings)


def train(folder, table, recipe, cpu, **options):
    return training.train(folder, read_labels(table), recipe, devices=[cpu], jobs=1, **options)


def invoke(*arguments):
    main.add_command(command)       # an older installation does not list it yet
    return CliRunner().invoke(main, ["tags", *map(str, arguments)])


# --- tables ---


def test_magnatagatunes_format_is_read_and_its_file_names_give_the_artists(tmp_path):
    labels = read_labels(write_magnatagatune(tmp_path))
    assert labels.is_tags and labels.outputs == ["no voice", "classical", "hard rock"]
    assert labels.targets.tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 1, 0]]
    assert labels.paths == [tmp_path / file for file in FILES]
    assert labels.groups.tolist() == [0, 0, 1, 2] and labels.lines.tolist() == [2, 3, 4, 5]


def test_the_most_frequent_tags_or_chosen_columns_are_kept(tmp_path):
    table = write_magnatagatune(tmp_path)
    labels = read_labels(table, top=2, recordings=tmp_path / "mp3")
    assert labels.outputs == ["no voice", "classical"] and labels.targets.sum(axis=0).tolist() == [2, 3]
    assert labels.paths[0] == tmp_path / "mp3" / FILES[0]
    assert read_labels(table, columns=["hard rock"]).targets.tolist() == [[0], [0], [1], [0]]


def test_columns_of_classes_become_one_output_per_class(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("file,genre,mood\na.wav,rock,sad\nb.wav,folk,glad\nc.wav,rock,calm\n")
    labels = read_labels(path)
    assert labels.columns == {"genre": ("folk", "rock"), "mood": ("calm", "glad", "sad")} and not labels.is_tags
    assert labels.targets.tolist() == [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0], [0, 1, 1, 0, 0]]
    assert labels.groups.tolist() == [0, 1, 2]      # each recording its own
    assert labels.outputs[0] == "genre: folk"


@pytest.mark.parametrize("content, message", [
    ("file,a,b\nx.wav,1,0\ny.wav,0,2\nz.wav,0,1\n", r"labels.csv, line 3: the tag b is '2', not 0 or 1"),
    ("file,a,b\nx.wav,1,0\ny.wav,,1\nz.wav,0,1\n", r"line 3: the tag a is '', not 0 or 1"),
    ("file,a,b\nx.wav,1,0\nx.wav,0,1\n", r"line 3: x.wav is listed a second time"),
    ("file,a,b\nx.wav,1,0\n,0,1\n", r"line 3: the name of the recording is missing"),
    ("file,a,a\nx.wav,1,0\n", r"twice the column a"),
    ("name,a\nx.wav,1\n", r"no column that names the recordings. Call it one of mp3_path, file"),
    ("file,artist\nx.wav,1\n", r"has no label column beside file, artist"),
    ("file,a\n", r"lists no recordings"),
    ("file,a,genre\nx.wav,1,rock\ny.wav,0,folk\n", r"the columns a contain 0 and 1.*genre do not.*--columns"),
    ("file,genre\nx.wav,rock\ny.wav,\n", r"line 3: the class of the column genre is missing"),
    ("file,genre\nx.wav,rock\ny.wav,rock\n", r"genre has only one class, rock"),
])
def test_a_wrong_table_is_refused_with_its_line(tmp_path, content, message):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(KitError, match=message):
        read_labels(tmp_path / "labels.csv")


def test_missing_tables_columns_and_wrong_choices_are_refused(tmp_path, tones, recipe):
    with pytest.raises(KitError, match="nowhere.csv cannot be read"):
        read_labels(tmp_path / "nowhere.csv")
    with pytest.raises(KitError, match="holds columns.csv, tags.csv. Give one table"):
        find_table(tones)
    with pytest.raises(KitError, match="has no column mood. It has file, artist, low, high"):
        read_labels(tones / "tags.csv", columns=["mood"])
    with pytest.raises(KitError, match="not tags, so the 2 most frequent"):
        read_labels(tones / "columns.csv", top=2)
    for setting, message in (("split=random", "split=songs only"), ("focal=2", "focal is for one class")):
        with pytest.raises(KitError, match=message):
            training.train(tmp_path / "run", read_labels(tones / "tags.csv"), recipe.with_settings([setting]))
    assert not (tmp_path / "run").exists()


# --- folds ---


def test_folds_keep_groups_together_and_spread_every_tag():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 300)
    targets = (rng.random((300, 8)) < np.linspace(0.03, 0.5, 8)).astype(int)
    fold = folds.assign(targets, groups, folds=5, seed=0)
    assert (pd.Series(fold).groupby(groups).nunique() == 1).all()
    counts = np.array([targets[fold == k].sum(axis=0) for k in range(5)])
    off = np.abs(counts - targets.sum(axis=0) / 5).max(axis=0)
    assert off[:4].max() < 1 and off.max() < 10     # rare tags first; a group has five recordings
    assert fold.tolist() == folds.assign(targets, groups, folds=5, seed=0).tolist()


def test_a_label_without_an_example_in_a_fold_is_refused(tones):
    labels = read_labels(tones / "tags.csv")
    with pytest.raises(KitError, match="24 recordings of 6 groups are too few for 7 folds"):
        folds.make_folds(labels, folds=7, seed=0)
    for value, few in ((1, labels.groups < 2), (0, labels.groups >= 2)):
        rare = replace(labels, targets=np.column_stack([labels.targets[:, 0], few.astype(int)]))
        message = rf"tags.csv: the tag high is {value} in recordings of 2 groups only.*3 folds"
        with pytest.raises(KitError, match=message):
            folds.make_folds(rare, folds=3, seed=0)
    classes = read_labels(tones / "columns.csv")
    targets = np.column_stack([classes.targets[:, :2], labels.groups < 2, labels.groups >= 2]).astype(int)
    with pytest.raises(KitError, match="the class treble: high is in recordings of 2 groups only"):
        folds.make_folds(replace(classes, targets=targets), folds=3, seed=0)


# --- objectives ---


def test_objectives_by_hand():
    logits, targets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 1.0]])
    expected = -(torch.sigmoid(torch.tensor(2.0)).log() + torch.sigmoid(torch.tensor(-1.0)).log()) / 2
    torch.testing.assert_close(objectives.Tags().loss(logits, targets), expected)
    assert objectives.Tags().correct(logits, targets).tolist() == [0.5]
    heads, logits = objectives.Heads((2, 3)), torch.tensor([[0.0, 1.0, 3.0, 0.0, 0.0]])
    targets = torch.tensor([[0.0, 1.0, 0.0, 0.0, 1.0]])
    expected = -(logits[0, :2].log_softmax(0)[1] + logits[0, 2:].log_softmax(0)[2])
    torch.testing.assert_close(heads.loss(logits, targets), expected)
    assert heads.correct(logits, targets).tolist() == [0.5]


# --- training ---


def test_tags_are_learned_in_folds_of_artists(tones, recipe, cpu, tmp_path):
    table, finished = train(tmp_path, tones / "tags.csv", recipe, cpu)
    assert finished == 3 and table["tag"].tolist() == ["low", "high", "mean"]
    assert table["positives"].tolist()[:2] == [12, 12] and table["chance"].tolist() == [0.5] * 3
    assert table["average_precision"].min() > 0.9 and table["roc_auc"].min() > 0.9
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "tags.csv"), table, check_dtype=False)
    scores, labels = pd.read_csv(tmp_path / "out_of_fold.csv"), read_labels(tones / "tags.csv")
    assert list(scores) == ["file", "group", "fold", "probability_low", "probability_high"]
    assert scores["file"].tolist() == labels.names.tolist() and (scores.groupby("group")["fold"].nunique() == 1).all()
    assert scores.iloc[:, 3:].to_numpy().min() >= 0 and scores.iloc[:, 3:].to_numpy().max() <= 1
    logits = torch.from_numpy(np.load(tmp_path / "members" / "member_01" / "valid_logits.npy"))
    np.testing.assert_allclose(scores[scores["fold"] == 1].iloc[:, 3:], logits.sigmoid(), atol=1e-6)
    targets = torch.from_numpy(labels.targets[scores["fold"] == 1]).float()
    history = pd.read_csv(tmp_path / "members" / "member_01" / "history.csv")
    assert history["valid_loss"].iloc[-1] == pytest.approx(objectives.Tags().loss(logits, targets).item(), rel=1e-5)


def test_columns_are_learned_by_a_head_each(tones, recipe, cpu, tmp_path):
    table, _ = train(tmp_path, tones / "columns.csv", recipe.with_settings(["mixup=0.1", "label_smoothing=0.05"]), cpu)
    assert table["column"].tolist() == ["bass", "treble", "mean"] and table["accuracy"].min() > 0.9
    assert (table["low"] <= table["accuracy"])[:2].all() and (table["accuracy"] <= table["high"])[:2].all()
    scores = pd.read_csv(tmp_path / "out_of_fold.csv")
    columns = ["probability_bass_none", "probability_bass_tone", "probability_treble_high", "probability_treble_silent"]
    assert list(scores)[3:] == columns
    for pair in (columns[:2], columns[2:]):
        np.testing.assert_allclose(scores[pair].sum(axis=1), 1, atol=1e-6)


def test_a_run_that_stopped_ends_with_the_same_bits_and_is_then_skipped(tones, recipe, cpu, tmp_path):
    recipe = recipe.with_settings(["epochs=4", "mixup=0.3"])
    train(tmp_path / "whole", tones / "tags.csv", recipe, cpu)
    clock, answers = Clock(), iter([False] * 6 + [True])     # a member, and two epochs of the second
    clock.would_overrun = lambda seconds: next(answers)
    table, finished = train(tmp_path / "half", tones / "tags.csv", recipe, cpu, clock=clock)
    assert finished == 1 and len(pd.read_csv(tmp_path / "half" / "out_of_fold.csv")) == 8
    assert len(pd.read_csv(tmp_path / "half" / "members" / "member_01" / "history.csv")) == 2
    train(tmp_path / "half", tones / "tags.csv", recipe, cpu)
    for member in ("member_00", "member_01", "member_02"):
        assert same_bits(*(tmp_path / run / "members" / member for run in ("whole", "half")))
    done = tmp_path / "half" / "members" / "member_02" / "done.json"
    before = done.stat().st_mtime_ns
    assert train(tmp_path / "half", tones / "tags.csv", recipe, cpu)[1] == 3 and done.stat().st_mtime_ns == before
    for name in ("tags.csv", "out_of_fold.csv"):
        assert (tmp_path / "half" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(KitError, match="created differently"):      # the same recordings with other labels
        train(tmp_path / "half", tones / "columns.csv", recipe, cpu)


def test_missing_and_damaged_recordings_are_named_or_left_out(tones, recipe, cpu, tmp_path):
    rows = (tones / "tags.csv").read_text().splitlines()
    rows.insert(3, "gone.wav,artist 0,1,0")
    rows.insert(5, f"{tmp_path / 'broken.wav'},artist 0,1,0")
    for name in rows[1:]:
        file = name.split(",")[0]
        if (tones / file).exists():
            (tmp_path / file).symlink_to(tones / file)
    (tmp_path / "broken.wav").write_text("no sound")
    table, run = tmp_path / "tags.csv", tmp_path / "run"
    table.write_text("\n".join(rows))
    with pytest.raises(KitError, match=r"tags.csv, line 4: there is no file .*gone.wav. 1 of 26 recordings"):
        train(run, table, recipe, cpu)
    (tmp_path / "gone.wav").symlink_to(tones / "0.wav")
    with pytest.raises(KitError, match=r"tags.csv, line 6: .*broken.wav is not audio .*inside. 1 of 26"):
        train(run, table, recipe, cpu)
    assert not run.exists()
    (tmp_path / "gone.wav").unlink()
    train(run, table, recipe.with_settings(["epochs=1"]), cpu, on_bad="skip")
    assert len(pd.read_csv(run / "out_of_fold.csv")) == 24


# --- demo and command ---


def test_the_demos_tables_describe_its_recordings(tmp_path):
    folder = demo.make(tmp_path / "demo", artists=3, recordings=2, jobs=1)
    tags, columns = (pd.read_csv(folder / name) for name in ("tags.csv", "columns.csv"))
    assert list(tags) == ["file", "artist", *demo.PARTS] and tags["file"].tolist() == columns["file"].tolist()
    assert ((columns["rhythm"] == "drums") == (tags["drums"] == 1)).all()
    for file in tags["file"]:
        assert soundfile.info(folder / file).duration == pytest.approx(demo.SECONDS, abs=0.1)
    silent, loud = (demo.piece(parts, "slow", [0], np.random.default_rng(0)) for parts in (["bass"], ["bass", "drums"]))
    high = [np.abs(np.fft.rfft(signal))[24_000:].mean() for signal in (silent, loud)]
    assert high[1] > 3 * high[0]        # cymbals


@pytest.mark.slow
def test_the_demos_tags_are_learned(tmp_path):
    result = invoke("--out", tmp_path, "--set", "precision=fp32")
    assert result.exit_code == 0, result.output
    mean = pd.read_csv(tmp_path / "tags.csv").set_index("tag").loc["mean"]
    assert mean["average_precision"] > mean["chance"] + 0.25 and mean["roc_auc"] > 0.75


def test_the_command_trains_and_prints_the_table(tones, tmp_path):
    arguments = ["--out", tmp_path, "--seconds", 0.5, "--folds", 2, "--epochs", 1, "--set", "precision=fp32"]
    result = invoke(tones / "tags.csv", *arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.split()[:5] == ["tag", "positives", "chance", "average_precision", "roc_auc"]
    assert str(tmp_path / "out_of_fold.csv") in result.stdout
    result = invoke(tmp_path / "nowhere.csv", *arguments)
    assert result.exit_code == 1 and "nowhere.csv cannot be read" in result.stderr


def test_the_command_is_registered():
    project = tomllib.loads((project_folder() / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["snippetkit.commands"]["tags"] == "snippetkit.lab.commands:tags"


def test_figures_by_hand():
    table = evaluation.evaluate_tags(np.array([[3.0], [2.0], [1.0], [0.0]]), np.array([[1], [0], [1], [0]]), ["a"])
    assert table.iloc[0]["average_precision"] == pytest.approx((1 + 2 / 3) / 2) and table.iloc[0]["roc_auc"] == 0.75
    assert table.iloc[1]["tag"] == "mean" and pd.isna(table.iloc[1]["positives"])
