"""Songs of tones and overtones, noises of numbers, for tests; and a small network that has learned three such songs."""

import numpy as np

from snippetkit.lab.identify import recogniser as identify
from snippetkit.lab.identify.collection import SongData
from snippetkit.utils.hardware import Device

RATE = 22_050
CPU = Device("cpu", "CPU", "fp32")


def noises(count=8, seconds=2.0, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.05 * (i + 1), round(seconds * RATE)).astype(np.float32) for i in range(count)]


def songs(count=3, seconds=12.0):
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [sum(np.sin(2 * np.pi * 220 * (i + 2) * k * time) / k for k in range(1, 7)) for i in range(count)]
    return [(0.15 * tone).astype(np.float32) for tone in tones]


def small_data(**changes):
    choices = {
        "names": ["low", "middle", "high"], "songs": songs(3, 10.0), "noises": noises(6),
        "test_noises": noises(4, seed=9), "source": "tones", "fragments": 24,
    }
    return SongData(**{**choices, **changes})


def small_recipe():
    return identify.song_recipe("dense", epochs=8).with_values(precision="fp32")


def trained_network(folder):
    """A network in a folder; gives what it learned from."""
    data = small_data()
    assert identify.train(folder, data, small_recipe(), device=CPU)
    return data


def write_m4a(path, sound):
    """As phones record: AAC in an MP4 container, here with two equal channels."""
    import av

    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([sound, sound]), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
