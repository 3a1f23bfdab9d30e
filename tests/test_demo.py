"""The synthetic competition: layout and quirks, songs that hang together, voices that can be told apart."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import find_peaks

from snippetkit.data import demo, synthesis
from snippetkit.data.synthesis import CLIP_SAMPLES, music, singing
from snippetkit.data.synthesis.accompaniment import accompaniment
from snippetkit.data.synthesis.mixing import sections
from snippetkit.data.synthesis.music import RATE, Band, Note
from snippetkit.data.synthesis.singing import Singer
from snippetkit.utils.artifacts import read_record
from snippetkit.utils.errors import KitError

TRAIN, TEST = 24, 8
BAND = Band(key=60, scale=music.SCALES[0], beat=0.5, chords=(0, 3, 4, 0))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small demo made by one process."""
    return demo.make(tmp_path_factory.mktemp("demo") / "singers", seed=3, train=TRAIN, test=TEST, jobs=1)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_layout_is_that_of_the_real_competition(made):
    names = {"train_mp3s", "test_mp3s", "train_label.txt", "example_submission.csv", "answers", "made_by.json"}
    assert {path.name for path in made.iterdir()} == names
    assert {path.name for path in (made / "train_mp3s").iterdir()} == {f"{i}.mp3" for i in range(TRAIN)}
    assert {path.name for path in (made / "test_mp3s").iterdir()} == {f"{i}.mp3" for i in range(TEST)}
    for name, count in (("train_label.txt", TRAIN), ("answers/test_label.txt", TEST)):
        lines = (made / name).read_bytes().split(b"\n")
        assert lines.pop() == b"" and len(lines) == count
        assert set(lines) <= {b"0", b"1", b"2", b"3"}


def test_sample_submission_has_the_byte_order_mark_and_no_final_newline(made):
    expected = b"\xef\xbb\xbfid,category\n" + b"\n".join(b"%d,1" % i for i in range(TEST))
    assert (made / "example_submission.csv").read_bytes() == expected


def test_every_clip_decodes_to_exactly_three_seconds_without_tags(made):
    for path in made.rglob("*.mp3"):
        head = path.read_bytes()
        assert head[:2] == b"\xff\xfb" and b"TAG" not in head[-128:], "an ID3 tag"
        sound, rate = soundfile.read(path)
        assert (rate, sound.shape) == (44_100, (CLIP_SAMPLES,))
        assert 0.01 < np.std(sound) < 0.5 and np.abs(sound).max() < 1.2
        assert 15_000 < len(head) < 45_000


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("train", [12, 24, 200])
def test_every_class_occurs_in_the_labels_given(seed, train):
    songs = demo.plan(seed=seed, train=train, test=8)
    labels = demo.misheard(demo.true_labels(songs, "train"), seed=seed)
    assert len(labels) == train
    assert set(labels) == {0, 1, 2, 3}


def test_classes_are_about_as_uneven_as_the_real_ones():
    counts = np.bincount(demo.true_labels(demo.plan(seed=0, train=640, test=160), "train"))
    assert np.abs(counts / 640 - np.array([0.087, 0.261, 0.287, 0.364])).max() < 0.05


def test_only_a_few_training_labels_are_wrong_and_none_says_no_voice():
    truth = demo.true_labels(demo.plan(seed=0, train=640, test=160), "train")
    given = demo.misheard(truth, seed=0)
    wrong = given != truth
    assert 0.03 < wrong.mean() < 0.05
    assert not (given[wrong] == 0).any() and not (truth[wrong] == 0).any()
    assert (np.maximum(given, truth)[wrong] == 3).mean() > 0.7, "mostly taken for, or instead of, several voices"


def test_test_labels_are_the_truth(made):
    songs = demo.plan(seed=3, train=TRAIN, test=TEST)
    answers = np.loadtxt(made / "answers" / "test_label.txt", dtype=int)
    assert answers.tolist() == demo.true_labels(songs, "test").tolist()
    given = np.loadtxt(made / "train_label.txt", dtype=int)
    assert 0 < np.sum(given != demo.true_labels(songs, "train")) <= 2


def test_songs_are_disjoint_and_every_clip_has_one(made):
    with open(made / "answers" / "songs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["split", "id", "song"]
    expected = [("train", i) for i in range(TRAIN)] + [("test", i) for i in range(TEST)]
    assert [(row["split"], int(row["id"])) for row in rows] == expected
    of = {split: {row["song"] for row in rows if row["split"] == split} for split in ("train", "test")}
    assert not of["train"] & of["test"]
    assert len(of["train"]) >= 2


@pytest.mark.parametrize("train, test", [(12, 1), (13, 3), (24, 8), (641, 159)])
def test_clip_counts_are_exact_for_songs_of_any_length(train, test):
    songs = demo.plan(seed=1, train=train, test=test)
    for split, count in (("train", train), ("test", test)):
        ids = [i for song in songs if song.split == split for i in song.ids]
        assert sorted(ids) == list(range(count))
        assert ids != sorted(ids) or count < 4, "shuffled"
    lengths = [len(song.ids) for song in songs if song.split == "train"]
    assert min(lengths) >= 4 and max(lengths) <= 14


def test_clips_of_a_song_are_cut_one_after_the_other_from_one_signal(made):
    for each in demo.plan(seed=3, train=TRAIN, test=TEST):
        whole = synthesis.song(each.labels, np.random.default_rng([3, 2, each.number]))
        clips = [soundfile.read(made / f"{each.split}_mp3s" / f"{i}.mp3")[0] for i in each.ids]
        joined = np.concatenate(clips)
        assert joined.shape == whole.shape
        for cut in range(CLIP_SAMPLES, len(joined), CLIP_SAMPLES):
            around = slice(cut - 4000, cut + 4000)
            assert np.corrcoef(joined[around], whole[around])[0, 1] > 0.98


def test_same_seed_same_bytes_whatever_the_number_of_processes(made, tmp_path):
    again = demo.make(tmp_path / "again", seed=3, train=TRAIN, test=TEST, jobs=2)
    assert contents(again) == contents(made)


def test_other_seed_other_songs(made, tmp_path):
    other = contents(demo.make(tmp_path / "other", seed=4, train=12, test=4, jobs=1))
    ours = set(contents(made).values())
    assert not [name for name, content in other.items() if name.endswith(".mp3") and content in ours]


def test_finished_demo_is_not_made_again(made, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    monkeypatch.setattr(demo, "_build", None)
    assert demo.make(made, seed=3, train=TRAIN, test=TEST) == made
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_another_demo_or_a_persons_folder_is_refused_and_left_alone(made, tmp_path):
    with pytest.raises(KitError, match=r"created differently \(seed: 3, now 5\)"):
        demo.make(made, seed=5, train=TRAIN, test=TEST)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(KitError, match="has no made_by.json"):
        demo.make(tmp_path, train=12, test=1)
    with pytest.raises(KitError, match="is a file"):
        demo.make(tmp_path / "thesis.txt", train=12, test=1)
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_counts_too_small_for_every_class_are_refused(tmp_path):
    with pytest.raises(KitError, match="at least 12 train clips, not 3"):
        demo.make(tmp_path / "demo", train=3)
    with pytest.raises(KitError, match="at least 1 test clips, not 0"):
        demo.make(tmp_path / "demo", test=0)
    with pytest.raises(KitError, match="from 0 on, not -1"):
        demo.make(tmp_path / "demo", seed=-1)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_make_that_dies_leaves_nothing_under_the_final_name_and_the_next_one_succeeds(made, tmp_path, monkeypatch):
    def killed(path, lines):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(demo, "_write_lines", killed)
        demo.make(tmp_path / "demo", seed=3, train=TRAIN, test=TEST, jobs=1)
    assert not (tmp_path / "demo").exists()
    assert contents(demo.make(tmp_path / "demo", seed=3, train=TRAIN, test=TEST, jobs=1)) == contents(made)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_leftover_that_no_demo_makes_is_not_deleted(tmp_path):
    (tmp_path / ".part-demo").mkdir()
    (tmp_path / ".part-demo" / "thesis.txt").write_text("years of work")
    with pytest.raises(KitError, match="in the way"):
        demo.make(tmp_path / "demo", train=12, test=1)
    assert (tmp_path / ".part-demo" / "thesis.txt").exists()


def test_full_disk_is_a_sentence(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(KitError, match="No space left on device"):
        demo.make(tmp_path / "demo", train=12, test=1, jobs=1)
    assert not (tmp_path / "demo").exists()


def f0_of(sound):
    """The fundamental in Hz, from the first high peak of the autocorrelation."""
    spectrum = np.abs(np.fft.rfft(sound, 2 * len(sound))) ** 2
    lags = np.fft.irfft(spectrum)[:RATE // 60]
    peaks = find_peaks(lags, height=0.8 * lags[RATE // 1000:].max())[0]
    return RATE / peaks[peaks > RATE / 1000][0]


def sung(sex, seed):
    """Half a second from the middle of a long note in the middle of a singer's range, and the singer."""
    rng = np.random.default_rng(seed)
    singer = Singer.drawn(sex, rng)
    note = Note(0.0, 1.5, BAND.step_near(singer.centre), "head")
    return singing.voice(singer, [note], BAND, 2 * RATE, rng)[RATE // 2:RATE], singer


def test_sung_note_has_the_pitch_of_the_score():
    assert music.hertz(69) == 440 and music.hertz(57) == 220
    for sex in ("male", "female"):
        for seed in range(8):
            sound, singer = sung(sex, seed)
            meant = music.hertz(BAND.midi(BAND.step_near(singer.centre)))
            assert abs(12 * np.log2(f0_of(sound) / meant)) < 1


def test_men_sing_lower_than_women_and_the_ranges_touch():
    def reached(sex):
        rng = np.random.default_rng(0)
        notes = []
        for _ in range(40):
            line = music.melody(BAND, Singer.drawn(sex, rng).centre, 9, rng)
            notes += [music.hertz(BAND.midi(note.step)) for note in line]
        return np.percentile(notes, [1, 50, 99])
    man, woman = reached("male"), reached("female")
    assert 80 < man[0] and 140 < man[1] < 270 and man[2] < 450
    assert 160 < woman[0] and 290 < woman[1] < 520 and woman[2] < 900
    assert woman[0] < man[2]


@pytest.mark.parametrize("vowel", music.VOWELS)
def test_vocal_tract_resonates_at_the_formants(vowel):
    formants = np.array(music.VOWELS[vowel], dtype=float)
    b, a = singing.vocal_tract(formants)
    gain = np.abs(b / np.fft.rfft(a, RATE))  # one bin a Hz
    assert gain[0] == pytest.approx(1)
    for formant in formants:
        assert np.abs(find_peaks(gain)[0] - formant).min() < 40 or formant > 2000


def test_womens_formants_lie_above_mens():
    rng = np.random.default_rng(0)
    men, women = ([Singer.drawn(sex, rng).tract for _ in range(50)] for sex in ("male", "female"))
    assert max(men) < min(women)
    assert 1.15 < np.mean(women) / np.mean(men) < 1.2


def test_vibrato_is_that_of_singers():
    singer = Singer.drawn("female", np.random.default_rng(2))._replace(vibrato=5.5, depth=0.5)
    note, rng = Note(0, 4, 4, "head"), np.random.default_rng(0)
    f0, _ = music.contour([note], BAND, 4 * RATE, singer.vibrato, singer.depth, rng)
    semitones = 12 * np.log2(f0[RATE:] / f0[RATE:].mean())
    spectrum = np.abs(np.fft.rfft(semitones * np.hanning(len(semitones))))
    assert np.argmax(spectrum[3:]) / 3 + 1 == pytest.approx(5.5, abs=0.4)
    assert 0.3 < np.percentile(np.abs(semitones), 95) < 0.9


def test_song_without_voice_is_not_silent_and_no_voice_sings_in_it():
    rng = np.random.default_rng(0)
    spans = sections([0, 0, 2, 2], rng)
    assert not singing.singing([spans[0]], BAND, 4 * music.PIECE, rng).any()
    assert accompaniment(spans, BAND, 4 * music.PIECE, rng)[:music.PIECE].std() > 0.01


def test_more_than_one_is_a_sum_of_different_voices_on_different_notes(monkeypatch):
    for seed in range(6):
        voices = []

        def listened(singer, notes, *arguments, heard=voices, sing=singing.voice):
            heard.append((singer, notes, sing(singer, notes, *arguments)))
            return heard[-1][2]

        with monkeypatch.context() as patch:
            patch.setattr(singing, "voice", listened)
            spans = [(0.0, 3.0, 3)]
            total = singing.singing(spans, BAND, music.PIECE, np.random.default_rng(seed))
        assert 2 <= len(voices) <= 3
        (lead, line, alone), (other, second, backing) = voices[:2]
        assert lead != other
        assert [note.step for note in line] != [note.step for note in second]
        both = (np.abs(alone) > 0.01 * alone.max()) & (np.abs(backing) > 0.01 * backing.max())
        assert both.mean() > 0.5, "they sing at the same time"
        # What is left after the lead is taken away is still singing.
        assert 0.3 < np.std(total - alone) / np.std(alone) < 4


def test_voice_and_no_voice_are_not_told_by_loudness():
    loudness = {0: [], 2: []}
    for seed in range(12):
        pieces = synthesis.song([0, 2, 2, 0], np.random.default_rng(seed)).reshape(4, -1)
        for label, piece in zip([0, 2, 2, 0], pieces):
            loudness[label].append(20 * np.log10(np.std(piece)))
    assert abs(np.median(loudness[0]) - np.median(loudness[2])) < 3
    assert max(loudness[0]) > np.median(loudness[2])


def test_make_says_what_it_was_made_with(made):
    record = read_record(made / "made_by.json")
    assert record["made_by"] == {"version": demo.VERSION, "seed": 3, "train": TRAIN, "test": TEST}
