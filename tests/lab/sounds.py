"""Songs of harmonic tones and white noises for tests, and a small network that has learned three such songs."""

import numpy as np
import soundfile

from snippetkit.lab.identify.collection import SongData
from snippetkit.lab.identify.recogniser import song_recipe, train
from snippetkit.utils.hardware import Device

RATE = 22_050
CPU = Device("cpu", "CPU", "fp32")


def make_noises(count, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.05 * (i + 1), 2 * RATE).astype(np.float32) for i in range(count)]


def make_songs(count, seconds):
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [sum(np.sin(2 * np.pi * 220 * (i + 2) * k * time) / k for k in range(1, 7)) for i in range(count)]
    return [(0.15 * tone).astype(np.float32) for tone in tones]


def melody(seed, seconds):
    """Random chords of four harmonic notes, five in a second."""
    rng, time = np.random.default_rng(seed), np.arange(RATE // 5) / RATE
    chords = [
        sum(np.sin(2 * np.pi * hz * k * time) / k for hz in 110 * 2 ** (rng.integers(0, 36, 4) / 12) for k in (1, 2, 3))
        for _ in range(5 * seconds)
    ]
    return (0.05 * np.concatenate(chords)).astype(np.float32)


MELODIES = {name: melody(seed, seconds) for seed, (name, seconds) in enumerate(zip("abcd", (12, 20, 9, 15)))}


def noisy(signal, seed=0):
    """The signal under white noise at 0 dB."""
    return signal + np.random.default_rng(seed).normal(0, signal.std(), len(signal)).astype(np.float32)


def small_data(**changes):
    return SongData(**{
        "names": ["low", "middle", "high"], "songs": make_songs(3, 10.0), "noises": make_noises(6, 0),
        "test_noises": make_noises(4, 9), "source": "tones", "fragments": 24, **changes,
    })


def small_recipe(epochs=8):
    return song_recipe("dense", epochs=epochs).with_values(precision="fp32")


def train_network(folder):
    """Train a network that knows the songs of `small_data`; for `make_once`."""
    assert train(folder, small_data(), small_recipe(), device=CPU)


def noisy_song(number):
    """A song under noise as in training: the network never saw a tone in silence."""
    song = small_data().songs[number]
    return song + np.random.default_rng(1).normal(0, 0.04, len(song)).astype(np.float32)


def write(path, signal):
    """Write a recording. An m4a is as from a phone: AAC in an MP4 container, here with two equal channels."""
    if path.suffix != ".m4a":
        soundfile.write(path, signal, RATE)
        return path
    import av

    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([signal, signal]), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    return path
