"""The fingerprint index finds fragments of melodies under noise with their offsets, and refuses damaged files."""

import numpy as np
import pytest
from lab.sounds import CPU, MELODIES, RATE, make_noises, melody, noisy

from snippetkit.lab.identify import evaluation
from snippetkit.lab.identify.collection import SongData
from snippetkit.lab.identify.fragments import NoisyFragments
from snippetkit.lab.identify.index import FingerprintIndex, find_peaks, pair_peaks
from snippetkit.lab.identify.recogniser import song_recipe
from snippetkit.lab.identify.untrained import IndexRecogniser
from snippetkit.utils.errors import KitError


def index_of(names):
    index = FingerprintIndex()
    for name in names:
        index.add(name, MELODIES[name])
    return index


@pytest.fixture(scope="module")
def index():
    return index_of("abcd")


@pytest.mark.parametrize("name, start, seconds", [
    ("a", 0, 5), ("a", 3.21, 5), ("b", 12.345, 5), ("c", 4, 3), ("d", 8, 7),
])
def test_a_noisy_fragment_is_found_with_its_offset(index, name, start, seconds):
    fragment = noisy(MELODIES[name][round(start * RATE) : round((start + seconds) * RATE)])
    best, *others = index.query(fragment)
    assert best.name == name and best.offset == pytest.approx(start, abs=0.025)
    assert all(best.score > 3 * other.score for other in others)


def test_a_recording_that_starts_before_the_song_has_a_negative_offset(index):
    before = np.random.default_rng(1).normal(0, 0.01, 2 * RATE).astype(np.float32)
    best = index.query(np.concatenate([before, MELODIES["c"][: 5 * RATE]]))[0]
    assert best.name == "c" and best.offset == pytest.approx(-2, abs=0.025)


def test_an_unknown_song_scores_below_known_ones(index):
    known = [index.query(noisy(song[RATE : 6 * RATE]))[0].score for song in MELODIES.values()]
    unknown = [index.scores(noisy(melody(seed, 5))).max() for seed in range(10, 15)]
    assert min(known) > 2 * max(unknown)


def test_silence_and_an_empty_index_have_no_answer(index):
    for silent in (np.zeros(5 * RATE, np.float32), np.zeros(0, np.float32)):
        assert index.query(silent) == [] and index.scores(silent).tolist() == [0, 0, 0, 0]
    assert FingerprintIndex().query(MELODIES["a"]) == [] and FingerprintIndex().nbytes == 0


def test_level_does_not_matter(index):
    fragment = noisy(MELODIES["b"][: 5 * RATE])
    assert index.query(fragment) == index.query(0.125 * fragment)    # a power of two, so that no value is rounded


def test_order_does_not_matter_nor_do_queries_between(index, tmp_path):
    grown = FingerprintIndex()
    for name in "dbca":
        grown.add(name, MELODIES[name])
        assert grown.query(noisy(MELODIES[name]))[0].name == name
    assert grown.nbytes == index.nbytes and len(grown) == 4
    for name, song in MELODIES.items():
        assert grown.query(noisy(song)) == index.query(noisy(song))


def test_one_by_one_added_equals_all_at_once(index, tmp_path):
    grown = FingerprintIndex()
    for name in "abcd":
        grown.add(name, MELODIES[name])
        grown.query(MELODIES["a"][:RATE])      # sorts the new song in
    contents = []
    for number, each in enumerate((index, grown)):
        each.save(tmp_path / f"{number}.npz")
        with np.load(tmp_path / f"{number}.npz") as file:
            contents.append(dict(file))
    for key, array in contents[0].items():
        np.testing.assert_array_equal(array, contents[1][key])


def test_an_index_is_saved_and_loaded_and_grows_further(index, tmp_path):
    index_of("ab").save(tmp_path / "songs.npz")
    loaded = FingerprintIndex.load(tmp_path / "songs.npz")
    for name in "cd":
        loaded.add(name, MELODIES[name])
    assert loaded.names == index.names and loaded.query(MELODIES["d"]) == index.query(MELODIES["d"])


def test_a_second_song_of_a_name_and_one_without_peaks_are_refused(index):
    with pytest.raises(KitError, match="already holds a song 'a'. Choose another name"):
        index.add("a", MELODIES["b"])
    for silent in (np.zeros(RATE, np.float32), MELODIES["a"][:0]):
        with pytest.raises(KitError, match="the song 'e' is silent or too short: it has no pair of spectral peaks"):
            index.add("e", silent)
    assert len(index) == 4


@pytest.mark.parametrize("damage", ["cut", "byte", "empty", "text", "missing"])
def test_a_damaged_file_is_one_sentence(index, tmp_path, damage):
    path = tmp_path / "songs.npz"
    index.save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"cut": path.read_bytes()[:-1000], "byte": bytes(content), "empty": b"", "text": b"songs"}
    path.unlink() if damage == "missing" else path.write_bytes(damaged[damage])
    with pytest.raises(KitError, match="songs.npz (is not a readable .npz file|cannot be read)"):
        FingerprintIndex.load(path)


@pytest.mark.parametrize("change, message", [
    ({"format": np.array(0)}, "comes from another version"), ({"names": np.array(["a", "a", "b", "c"])}, "is damaged"),
    ({"names": np.array(list("abc"))}, "is damaged"),
    ({"names": np.array(list("abcd"), object)}, "not a readable .npz"),     # it would be a pickle
    ({"lengths": np.ones(4, np.int64)}, "is damaged"), ({"hashes": np.array([2, 1], np.uint32)}, "is damaged"),
    ({"places": None}, "has no key 'places'"),
])
def test_arrays_that_do_not_belong_together_are_refused(index, tmp_path, change, message):
    path = tmp_path / "songs.npz"
    index.save(path)
    with np.load(path) as file:
        content = {key: value for key, value in {**file, **change}.items() if value is not None}
    np.savez(path, **content)
    with pytest.raises(KitError, match=message):
        FingerprintIndex.load(path)


def test_peaks_are_those_of_the_tones():
    time = np.arange(2 * RATE) / RATE
    frames, bins = find_peaks(np.where(time < 1, np.sin(2 * np.pi * 1000 * time), np.sin(2 * np.pi * 2000 * time)))
    assert {round(hz * 2048 / RATE) for hz in (1000, 2000)} <= set(bins.tolist()) and np.all(np.diff(frames) >= 0)


def test_pairs_stay_in_the_target_zone():
    hashes, starts = pair_peaks(np.array([0, 0, 1, 63, 64]), np.array([50, 60, 150, 151, 50]))
    pairs = [(h >> 14, (h >> 6 & 255) - 100, h & 63) for h in hashes.tolist()]
    assert sorted(zip(starts.tolist(), pairs)) == [
        (0, (50, 100, 1)), (0, (60, 90, 1)), (0, (60, 91, 63)), (1, (150, -100, 63)), (1, (150, 1, 62)),
    ]


# --- in the tests of the networks ---


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory):
    songs = [MELODIES[name] for name in "abc"]
    data = SongData(
        names=list("abc"), songs=songs, noises=make_noises(4, 0), test_noises=make_noises(4, 9), source="melodies",
        unknown=[melody(7, 25), melody(8, 25)],
    )
    return IndexRecogniser(data, song_recipe(), tmp_path_factory.mktemp("results"))


def test_the_index_takes_the_three_tests_of_the_networks(recogniser):
    table = recogniser.evaluate(4)
    assert table["test"].tolist() == ["other fragments", "simulated phone", "20 s by phone"]
    assert table["accuracy"].min() > 0.9 and set(table["model"]) == {"index"} and table["top5"].eq(1).all()
    curve = recogniser.accuracy_by_snr(2)
    assert curve["snr"].tolist() == list(evaluation.SNRS) and curve["accuracy"].iloc[-1] == 1


def test_known_and_unknown_recordings_are_told_apart_by_score(recogniser):
    for half in range(2):
        known, unknown = evaluation.highest_probabilities(recogniser, recogniser.data, 2, half=half)
        assert known.shape == (6,) and unknown.shape == (2,) and known.min() > unknown.max()


def test_fragments_are_those_of_the_networks(recogniser):
    sounds = recogniser.data.sounds(song_recipe(), CPU, test=True)
    fragments = NoisyFragments(sounds, 2, seed=3)
    (signals, gains, labels), (images, same) = next(fragments.mixes(6)), next(fragments.batches(6))
    assert (sounds.spectrogram(signals, gains) == images).all() and (labels == same).all()


def test_a_recipe_of_another_sample_rate_is_refused(recogniser):
    with pytest.raises(KitError, match="needs a sample rate of 22050 Hz, not 16000"):
        IndexRecogniser(recogniser.data, song_recipe().with_values(sample_rate=16_000, f_max=8000.0), "results")
