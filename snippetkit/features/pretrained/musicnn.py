"""musicnn: two networks that tag music, trained on MagnaTagATune and on the Million Song Dataset.

Pons and Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging" (2019). Names and order of
the weights are those of the package musicnn 0.1.0, from whose wheel they are taken.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...vocals import checkpoint
from .spectrum import mean_frames, mel_power

TAGS = {
    "MTT": (
        "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
        "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
        "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo",
        "man", "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello",
        "no voice", "weird", "country", "metal", "female voice", "choral",
    ),
    "MSD": (
        "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock",
        "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow",
        "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock",
        "ambient", "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country",
        "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb",
        "indie pop", "sad", "House", "happy",
    ),
}
RATE = 16_000   # Hz
CHANNELS = 753  # of `Musicnn.frames`
_HOP = 256
_EPSILON = 1e-3     # of the batch norms
_WIDE = 2           # of the first layers are wide; the others are long


class Musicnn(nn.Module):
    """One tagger. Its tensors are those of its TensorFlow graph, in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, _EPSILON)
        shapes = [(204, (7, 38)), (204, (7, 67)), (51, (128, 1)), (51, (64, 1)), (51, (32, 1))]
        self.front = nn.ModuleList(nn.Conv2d(1, many, size) for many, size in shapes)
        self.front_norm = nn.ModuleList(nn.BatchNorm1d(many, _EPSILON) for many, _ in shapes)
        self.middle = nn.ModuleList(nn.Conv1d(few, 64, 7, padding=3) for few in (561, 64, 64))
        self.middle_norm = nn.ModuleList(nn.BatchNorm1d(64, _EPSILON) for _ in range(3))
        self.pooled_norm = nn.BatchNorm1d(2 * CHANNELS, _EPSILON)
        self.dense = nn.Linear(2 * CHANNELS, 200)
        self.dense_norm = nn.BatchNorm1d(200, _EPSILON)
        self.last = nn.Linear(200, 50)

    def frames(self, spectrogram):
        """The activations that are pooled: those of the first layers and of the three in the middle.

        Parameters
        ----------
        spectrogram : Tensor, shape (clips, frames, 96)
            As `log_mel` gives it.

        Returns
        -------
        Tensor, shape (clips, CHANNELS, frames)
        """
        normalised = self.input_norm(spectrogram[:, None])[:, 0]
        # The original takes the maximum over bands last. It is that of the convolution, or its minimum if the norm
        # turns the sign, so a pass over all bands suffices. Products of few clips stay in the processor's cache.
        signs = [norm.weight.sign()[:, None] for norm in self.front_norm]
        kernels = [convolution.weight[:, 0] * sign[..., None] for convolution, sign in zip(self.front, signs)]
        long = [kernel[..., 0] for kernel in kernels[_WIDE:]]
        pieces = [
            *([largest_of_wide(clips, kernel) for clips in normalised.split(4)] for kernel in kernels[:_WIDE]),
            *zip(*(largest_of_long(clips, long) for clips in normalised.split(2))),
        ]
        columns = [
            norm(functional.relu(sign * torch.cat(largest) + convolution.bias[:, None]))
            for convolution, norm, sign, largest in zip(self.front, self.front_norm, signs, pieces)
        ]
        seen = [torch.cat(columns, dim=1)]
        for number, (convolution, norm) in enumerate(zip(self.middle, self.middle_norm)):
            grown = norm(functional.relu(convolution(seen[-1])))
            seen.append(grown + seen[-1] if number else grown)
        return torch.cat(seen, dim=1)

    def forward(self, spectrogram):
        """Tag clips.

        Parameters
        ----------
        spectrogram : Tensor, shape (clips, frames, 96)

        Returns
        -------
        pooled : Tensor, shape (clips, 2 * CHANNELS)
            Maximum and mean over time of each channel, one after the other.
        tags : Tensor, shape (clips, 50)
            Probabilities, in the order of `TAGS`.
        """
        numbers = pooled(self.frames(spectrogram))
        dense = self.dense_norm(functional.relu(self.dense(self.pooled_norm(numbers))))
        return numbers, torch.sigmoid(self.last(dense))


def pooled(frames):
    """Maximum and mean over time of each channel: Tensor (clips, channels, frames) to (clips, 2 * channels)."""
    return torch.stack([frames.amax(dim=2), frames.mean(dim=2)], dim=2).flatten(1)


def largest_of_wide(clips, kernel, together=3):
    """Largest value over the bands of a convolution with few frames and many bands.

    As matrix products of windows, each of which gives some neighbouring bands: with a single channel, this takes half
    the time of a convolution, although a few of the products are with zeros.

    Parameters
    ----------
    clips : Tensor, shape (clips, frames, bands)
        Zeros are appended, so that there are as many frames afterwards.
    kernel : Tensor, shape (channels, short, wide)
    together : int
        Bands of one product.

    Returns
    -------
    Tensor, shape (clips, channels, frames)
    """
    (channels, size, wide), (count, frames, bands) = kernel.shape, clips.shape
    together = min(together, bands - wide + 1)
    width = wide + together - 1
    matrix = kernel.new_zeros(size, width, together, channels)
    for place in range(together):
        matrix[:, place : place + wide, place] = kernel.permute(1, 2, 0)
    padded = functional.pad(clips, (0, 0, (size - 1) // 2, size // 2))
    windows = padded.unfold(1, size, 1).transpose(2, 3)     # (clips, frames, size, bands)
    largest = None
    for start in range(0, bands - wide + 1, together):
        start = min(start, bands - width)
        product = windows[..., start : start + width].reshape(count * frames, -1) @ matrix.flatten(0, 1).flatten(1)
        product = product.view(-1, together, channels).amax(dim=1)
        largest = product if largest is None else torch.maximum(largest, product)
    return largest.view(count, frames, channels).transpose(1, 2)


def largest_of_long(clips, kernels, together=4):
    """Largest values over the bands of convolutions over time, which are the same for each band.

    Parameters
    ----------
    clips : Tensor, shape (clips, frames, bands)
    kernels : list of Tensor, shape (channels, size)
        Computed together: a shorter kernel is the middle of a longer one.
    together : int
        Frames of one product.

    Returns
    -------
    list of Tensor, shape (clips, channels, frames)
    """
    frames, sizes = clips.shape[1], [kernel.shape[1] for kernel in kernels]
    before, after = (max(sizes) - 1) // 2, max(sizes) // 2
    matrix = clips.new_zeros(max(sizes) + together - 1, together, sum(len(kernel) for kernel in kernels))
    first = 0
    for kernel, size in zip(kernels, sizes):
        for place in range(together):
            start = place + before - (size - 1) // 2
            matrix[start : start + size, place, first : first + len(kernel)] = kernel.T
        first += len(kernel)
    padded = functional.pad(clips.transpose(1, 2), (before, after + -frames % together))
    windows = padded.unfold(2, len(matrix), together)       # (clips, bands, frames / together, size)
    product = windows.reshape(-1, len(matrix)) @ matrix.flatten(1)
    largest = product.view(*windows.shape[:3], -1).amax(dim=1)
    largest = largest.view(len(clips), -1, matrix.shape[2])[:, :frames].transpose(1, 2)
    return list(largest.split([len(kernel) for kernel in kernels], dim=1))


class Embedder:
    """Both taggers as features of a clip.

    Parameters
    ----------
    folder : path-like
        Where the files of `releases.MUSICNN` are.
    device : Device

    Raises
    ------
    KitError
        If a file is missing or damaged.
    """

    rate = RATE

    def __init__(self, folder, device):
        self._device = device
        self._taggers = {tagger: load(folder, tagger).to(device.name) for tagger in TAGS}

    @torch.inference_mode()
    def encode(self, samples):
        """`Musicnn.frames` of both taggers, which `pooled` and `frames` take: Tensor (clips, 2 * CHANNELS, frames).

        Parameters
        ----------
        samples : ndarray, shape (clips, samples), float32
            At `RATE`.
        """
        spectrogram = log_mel(torch.from_numpy(samples).to(self._device.name))
        with self._device.autocast():
            return torch.cat([tagger.frames(spectrogram) for tagger in self._taggers.values()], dim=1)

    @torch.inference_mode()
    def pooled(self, encoded):
        """What both taggers pool over time: ndarray, shape (clips, 4 * CHANNELS), float32."""
        return pooled(encoded).float().cpu().numpy()

    def frames(self, encoded, *, count):
        """What both taggers pool, over time: means of `count` parts, ndarray (clips, count, 2 * CHANNELS), float32."""
        return mean_frames(encoded, count)

    @torch.inference_mode()
    def show(self, samples):
        """The tags of one clip as both taggers see them: dict of tag to probability."""
        spectrogram, found = log_mel(torch.from_numpy(samples).to(self._device.name)), {}
        for tagger, network in self._taggers.items():
            with self._device.autocast():
                _, tags = network(spectrogram)
            found |= dict(zip(TAGS[tagger], tags[0].tolist()))
        return found


def load(folder, tagger):
    """Build a tagger with its weights.

    Parameters
    ----------
    folder : path-like
        Where the files of `releases.MUSICNN` are.
    tagger : str
        'MTT' or 'MSD'.

    Returns
    -------
    Musicnn
        In evaluation mode.

    Raises
    ------
    KitError
        If a file is missing or damaged.
    """
    tensors = checkpoint.read_pair(Path(folder, f"{tagger}.index"), Path(folder, f"{tagger}.data"))
    network = Musicnn()
    state = {name: _to_torch(tensors[keras_name], name) for name, keras_name in _keras_names(network).items()}
    network.load_state_dict(state, strict=False)
    return network.eval().requires_grad_(False)


def log_mel(samples):
    """The spectrogram that the taggers take: ``log10(1 + 10000 mel)``.

    Parameters
    ----------
    samples : Tensor, shape (clips, samples), float32
        At `RATE`.

    Returns
    -------
    Tensor, shape (clips, frames, 96)
        ``samples // 256`` frames: 187 of three seconds, for which the taggers were trained.
    """
    mel = mel_power(samples, rate=RATE, n_fft=512, hop=_HOP, bands=96)
    return torch.log10(1 + 10_000 * mel)[:, : max(1, samples.shape[1] // _HOP)]


def _keras_names(network):
    """Name of each tensor of a `Musicnn` in the checkpoint; Keras numbers its layers in the order of creation."""
    convolutions = [*(f"front.{i}" for i in range(5)), *(f"middle.{i}" for i in range(3))]
    norms = [
        "input_norm", *(f"front_norm.{i}" for i in range(5)), *(f"middle_norm.{i}" for i in range(3)), "pooled_norm",
        "dense_norm",
    ]
    layers = {}
    for kind, names in {"conv2d": convolutions, "batch_normalization": norms, "dense": ("dense", "last")}.items():
        layers |= {name: f"{kind}_{number}" if number else kind for number, name in enumerate(names)}
    plain = {"weight": "kernel", "bias": "bias"}
    norm = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    names = {}
    for name in network.state_dict():
        layer, _, value = name.rpartition(".")
        if value != "num_batches_tracked":
            names[name] = f"{layers[layer]}/{(norm if 'norm' in layer else plain)[value]}"
    return names


def _to_torch(values, name):
    """Reorder the axes: convolutions (time, bands, in, out), of which the middle ones keep channels in "bands"."""
    if name.startswith("middle.") and values.ndim == 4:
        values = values[:, :, 0].transpose(2, 1, 0)
    elif values.ndim == 4:
        values = values.transpose(3, 2, 0, 1)
    elif values.ndim == 2:
        values = values.T
    return torch.from_numpy(np.array(values, np.float32, order="C"))
