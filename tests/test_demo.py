"""The synthetic competition: its files and quirks, songs cut into clips, voices that can be told apart."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import find_peaks

from snippetkit.data import demo, synthesis
from snippetkit.data.synthesis import CLIP_SAMPLES, music, singing
from snippetkit.data.synthesis.accompaniment import accompaniment
from snippetkit.data.synthesis.mixing import sections
from snippetkit.data.synthesis.music import RATE, Band, Note
from snippetkit.data.synthesis.singing import Singer
from snippetkit.utils import artifacts
from snippetkit.utils.errors import KitError

TRAIN, TEST = 24, 8     # as in the fixture small_demo
BAND = Band(key=60, scale=music.SCALES[0], beat=0.5, chords=(0, 3, 4, 0))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files_are_those_of_the_real_competition(small_demo):
    clips = {f"{split}_mp3s/{i}.mp3" for split, count in (("train", TRAIN), ("test", TEST)) for i in range(count)}
    answers = {"answers/test_label.txt", "answers/songs.csv"}
    files = contents(small_demo)
    assert files.keys() == {*clips, "train_label.txt", "example_submission.csv", *answers, "made_by.json"}
    assert re.fullmatch(rb"([0-3]\n){24}", files["train_label.txt"])
    assert re.fullmatch(rb"([0-3]\n){8}", files["answers/test_label.txt"])
    sample = b"\xef\xbb\xbfid,category\n" + b"\n".join(b"%d,1" % i for i in range(TEST))     # no final newline
    assert files["example_submission.csv"] == sample
    made_by = {"version": demo.VERSION, "seed": 0, "train": TRAIN, "test": TEST}
    assert artifacts.read_record(small_demo / "made_by.json")["made_by"] == made_by


def test_every_clip_decodes_to_exactly_three_seconds_without_tags(small_demo):
    for path in small_demo.rglob("*.mp3"):
        content = path.read_bytes()
        assert content[:2] == b"\xff\xfb" and b"TAG" not in content[-128:], "an ID3 tag"
        sound, rate = soundfile.read(path)
        assert (rate, sound.shape) == (44_100, (CLIP_SAMPLES,))
        assert 0.01 < np.std(sound) < 0.5 and np.abs(sound).max() < 1.2
        assert 15_000 < len(content) < 45_000


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("train", [12, 24, 200])
def test_every_class_occurs_in_the_labels(seed, train):
    songs = demo.plan(seed=seed, train=train, test=8)
    labels = demo.misheard(demo.true_labels(songs, "train"), seed=seed)
    assert len(labels) == train and set(labels) == {0, 1, 2, 3}


def test_shares_of_classes_and_of_label_errors_are_as_intended():
    truth = demo.true_labels(demo.plan(seed=0, train=640, test=160), "train")
    assert np.abs(np.bincount(truth) / 640 - np.array([0.087, 0.261, 0.287, 0.364])).max() < 0.05
    labels = demo.misheard(truth, seed=0)
    wrong = labels != truth
    assert 0.03 < wrong.mean() < 0.05
    assert not (labels[wrong] == 0).any() and not (truth[wrong] == 0).any()
    assert (np.maximum(labels, truth)[wrong] == 3).mean() > 0.7, "most errors are to or from several voices"


def test_answers_are_the_true_labels_and_songs_of_the_plan(small_competition):
    songs = demo.plan(seed=0, train=TRAIN, test=TEST)
    assert np.array_equal(small_competition.test_labels, demo.true_labels(songs, "test"))
    assert 0 < np.sum(small_competition.labels != demo.true_labels(songs, "train")) <= 2
    table = pd.read_csv(small_competition.root / "answers" / "songs.csv")
    expected = [*(("train", i) for i in range(TRAIN)), *(("test", i) for i in range(TEST))]
    assert list(table) == ["split", "id", "song"] and list(zip(table["split"], table["id"])) == expected
    train, test = (set(table["song"][table["split"] == split]) for split in ("train", "test"))
    assert not train & test and len(train) >= 2


@pytest.mark.parametrize("train, test", [(12, 1), (13, 3), (24, 8), (641, 159)])
def test_songs_give_exactly_the_wanted_number_of_clips(train, test):
    songs = demo.plan(seed=1, train=train, test=test)
    for split, count in (("train", train), ("test", test)):
        ids = [i for song in songs if song.split == split for i in song.ids]
        assert sorted(ids) == list(range(count)) and (ids != sorted(ids) or count < 4), "all clips, shuffled"
    lengths = [len(song.ids) for song in songs if song.split == "train"]
    assert min(lengths) >= 4 and max(lengths) <= 14


def test_clips_of_a_song_are_consecutive_pieces_of_one_signal(small_demo):
    for song in demo.plan(seed=0, train=TRAIN, test=TEST):
        whole = synthesis.song(song.labels, np.random.default_rng([0, 2, song.number]))
        joined = np.concatenate([soundfile.read(small_demo / f"{song.split}_mp3s" / f"{i}.mp3")[0] for i in song.ids])
        assert joined.shape == whole.shape
        for cut in range(CLIP_SAMPLES, len(joined), CLIP_SAMPLES):
            around = slice(cut - 4000, cut + 4000)
            assert np.corrcoef(joined[around], whole[around])[0, 1] > 0.98


def test_same_seed_gives_the_same_bytes_with_any_number_of_processes(small_demo, tmp_path):
    assert contents(demo.make(tmp_path / "again", train=TRAIN, test=TEST, jobs=1)) == contents(small_demo)


def test_another_seed_gives_other_songs(small_demo, tmp_path):
    other = contents(demo.make(tmp_path / "other", seed=4, train=12, test=4, jobs=1))
    clips = set(contents(small_demo).values())
    assert not [name for name, content in other.items() if name.endswith(".mp3") and content in clips]


def test_a_demo_is_told_from_other_data(small_demo, copied_demo, tmp_path):
    assert demo.is_demo(small_demo) and not demo.is_demo(tmp_path)
    (copied_demo / "made_by.json").write_text('{"made_by": "somebody"}')
    assert not demo.is_demo(copied_demo)


def test_complete_demo_is_kept_and_another_demo_is_refused(small_demo, monkeypatch):
    monkeypatch.setattr(demo, "_build", pytest.fail)
    assert demo.make(small_demo, train=TRAIN, test=TEST) == small_demo
    with pytest.raises(KitError, match=r"created differently \(seed: 0, now 5\)"):
        demo.make(small_demo, seed=5, train=TRAIN, test=TEST)


@pytest.mark.parametrize("name, value, minimum", [("train", 3, 12), ("test", 0, 1), ("seed", -1, 0)])
def test_arguments_that_are_too_small_are_refused(tmp_path, name, value, minimum):
    with pytest.raises(KitError, match=f"{name}={value} cannot be made. Choose {minimum} or more"):
        demo.make(tmp_path / "demo", **{name: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module, function", [(Path, "write_bytes"), (artifacts, "write_record")])
def test_demo_is_made_again_after_the_disk_was_full(tmp_path, monkeypatch, module, function):
    def fail(path, content):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patch, pytest.raises(KitError, match="demo could not be written: No space left"):
        patch.setattr(module, function, fail)
        demo.make(tmp_path / "demo", train=12, test=1, jobs=1)
    assert not (tmp_path / "demo").exists()
    demo.make(tmp_path / "demo", train=12, test=1, jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def f0_of(sound):
    """The fundamental frequency in Hz, from the first high peak of the autocorrelation."""
    spectrum = np.abs(np.fft.rfft(sound, 2 * len(sound))) ** 2
    lags = np.fft.irfft(spectrum)[:RATE // 60]
    peaks = find_peaks(lags, height=0.8 * lags[RATE // 1000:].max())[0]
    return RATE / peaks[peaks > RATE / 1000][0]


@pytest.mark.parametrize("sex", ["male", "female"])
def test_sung_note_has_the_pitch_of_the_score(sex):
    assert music.hertz(69) == 440 and music.hertz(57) == 220
    for rng in map(np.random.default_rng, range(8)):
        singer = Singer.drawn(sex, rng)
        step = BAND.step_near(singer.centre)
        sound = singing.voice(singer, [Note(0.0, 1.5, step, "head")], BAND, 2 * RATE, rng)
        f0 = f0_of(sound[RATE // 2:RATE])
        assert abs(12 * np.log2(f0 / music.hertz(BAND.midi(step)))) < 1


def test_men_sing_lower_than_women_and_the_ranges_overlap():
    def percentiles(sex):
        rng = np.random.default_rng(0)
        melodies = [music.melody(BAND, Singer.drawn(sex, rng).centre, 9, rng) for _ in range(40)]
        return np.percentile([music.hertz(BAND.midi(note.step)) for melody in melodies for note in melody], [1, 50, 99])
    man, woman = percentiles("male"), percentiles("female")
    assert 80 < man[0] and 140 < man[1] < 270 and man[2] < 450
    assert 160 < woman[0] and 290 < woman[1] < 520 and woman[2] < 900
    assert woman[0] < man[2]


@pytest.mark.parametrize("vowel", music.VOWELS)
def test_vocal_tract_resonates_at_the_formants(vowel):
    formants = np.array(music.VOWELS[vowel], dtype=float)
    b, a = singing.vocal_tract(formants)
    gain = np.abs(b / np.fft.rfft(a, RATE))  # one bin per Hz
    assert gain[0] == pytest.approx(1)
    for formant in formants:
        assert np.abs(find_peaks(gain)[0] - formant).min() < 40 or formant > 2000


def test_formants_of_women_are_higher_than_those_of_men():
    rng = np.random.default_rng(0)
    men, women = ([Singer.drawn(sex, rng).tract for _ in range(50)] for sex in ("male", "female"))
    assert max(men) < min(women)
    assert 1.15 < np.mean(women) / np.mean(men) < 1.2


def test_vibrato_has_the_given_rate_and_depth():
    f0, _ = music.contour([Note(0, 4, 4, "head")], BAND, 4 * RATE, 5.5, 0.5, np.random.default_rng(0))
    semitones = 12 * np.log2(f0[RATE:] / f0[RATE:].mean())
    spectrum = np.abs(np.fft.rfft(semitones * np.hanning(len(semitones))))
    assert np.argmax(spectrum[3:]) / 3 + 1 == pytest.approx(5.5, abs=0.4)
    assert 0.3 < np.percentile(np.abs(semitones), 95) < 0.9


def test_section_without_voice_has_music_and_no_singing():
    rng = np.random.default_rng(0)
    spans = sections([0, 0, 2, 2], rng)
    assert not singing.singing([spans[0]], BAND, 4 * music.PIECE, rng).any()
    assert accompaniment(spans, BAND, 4 * music.PIECE, rng)[:music.PIECE].std() > 0.01


def test_class_of_more_than_one_voice_has_different_voices_on_different_notes(monkeypatch):
    voices, voice = [], singing.voice

    def record(singer, notes, *arguments):
        voices.append((singer, notes, voice(singer, notes, *arguments)))
        return voices[-1][2]

    monkeypatch.setattr(singing, "voice", record)
    for seed in range(6):
        voices.clear()
        total = singing.singing([(0.0, 3.0, 3)], BAND, music.PIECE, np.random.default_rng(seed))
        assert 2 <= len(voices) <= 3
        (lead, line, alone), (other, second, backing) = voices[:2]
        assert lead != other and [note.step for note in line] != [note.step for note in second]
        both = (np.abs(alone) > 0.01 * alone.max()) & (np.abs(backing) > 0.01 * backing.max())
        assert both.mean() > 0.5, "they sing at the same time"
        # without the lead, there is still singing
        assert 0.3 < np.std(total - alone) / np.std(alone) < 4


def test_loudness_does_not_reveal_whether_there_is_a_voice():
    songs = [synthesis.song([0, 2, 2, 0], np.random.default_rng(seed)) for seed in range(12)]
    loudness = 20 * np.log10(np.reshape(songs, (12, 4, CLIP_SAMPLES)).std(axis=-1))
    without, with_voice = loudness[:, [0, 3]], loudness[:, [1, 2]]
    assert abs(np.median(without) - np.median(with_voice)) < 3
    assert without.max() > np.median(with_voice)
