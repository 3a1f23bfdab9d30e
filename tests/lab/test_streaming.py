"""A stream decides when a decision is due, from the last seconds only."""

import numpy as np

from snippetkit.lab.singers.streaming import Stream, keep_stream, load_recording, measure_delay, run_stream


def test_a_decision_comes_every_half_second_from_the_last_second():
    windows = []

    def predict(window):
        windows.append(window.copy())
        return np.array([1.0, 0.0]) if window[-1] < 2500 else np.array([0.0, 1.0])

    stream = Stream(predict, sample_rate=1000, window=1.0, memory=0.5)
    decisions = run_stream(np.arange(4200, dtype=np.float32), stream, chunk=333)
    assert decisions["seconds"].tolist() == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert windows[3].tolist() == list(range(1000, 2000)) and windows[0][:500].tolist() == [0] * 500
    assert np.stack(decisions["probabilities"])[4:7].tolist() == [[1, 0], [0.5, 0.5], [0.25, 0.75]]
    assert (decisions["milliseconds"] >= 0).all()


def test_a_stream_has_the_channels_of_its_samples():
    shapes = []
    stream = Stream(lambda window: shapes.append(window.shape) or np.ones(1), sample_rate=1000, window=1.0)
    assert len(run_stream(np.ones((1200, 2), np.float32), stream)) == 2 and shapes == [(1000, 2)] * 2


def test_the_synthetic_song_is_labelled_throughout():
    signal, truth = load_recording(sample_rate=16_000)
    assert signal.shape == (480_000,) and truth[0] == (0, 3, 0) and truth[-1][1] == 30
    assert {label for _, _, label in truth} == {0, 1, 2, 3}
    stereo, _ = load_recording(sample_rate=44_100, mono=False)
    assert stereo.shape == (1_323_000, 2)


def test_a_recording_is_loaded_from_a_file(small_competition):
    signal, truth = load_recording(small_competition.train[0], sample_rate=8_000)
    assert signal.shape == (24_000,) and truth is None


def test_window_and_memory_delay_a_decision():
    assert measure_delay(memory=0) == 1.5 and measure_delay(window=5.0, memory=0) == 2.5
    # windows contain 1/6, 2/6 … of the new voice, each with weight 0.4: 0.07, 0.17, 0.30, 0.45, 0.60
    assert measure_delay(memory=0.6) == 2.5
    assert measure_delay(memory=0.9) > 4


def test_kept_decisions_are_those_of_the_stream_and_are_not_made_again(tmp_path):
    signal, calls = np.random.default_rng(0).normal(size=400).astype(np.float32), []

    def predict(window):
        calls.append(len(window))
        return np.array([window[-1], 1 - window[-1]])

    def stream():
        return Stream(predict, sample_rate=100)

    direct = run_stream(signal, stream())
    kept = [keep_stream(tmp_path, ["a"], signal, stream()) for _ in range(2)]
    assert len(calls) == 2 * len(direct)
    for table in kept:
        assert table["seconds"].tolist() == direct["seconds"].tolist()
        np.testing.assert_array_equal(np.stack(table["probabilities"]), np.stack(direct["probabilities"]))
