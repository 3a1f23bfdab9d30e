"""Where a network looks: saliency and class activation over the spectrogram, by captum."""

import numpy as np
import pandas as pd
import soxr
import torch

from ...data.labels import CLASSES
from ...data.synthesis import CLIP_RATE, CLIP_SAMPLES, song
from ...dataset import SnippetDataset
from ...filterbank import log_mel


def saliency(network, features, target):
    """How much each point of a spectrogram moves the logit of a class: the gradient's magnitude.

    Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks" (arXiv:1312.6034).

    Parameters
    ----------
    network : nn.Module
    features : Tensor, shape (1, channels, frames, bands)
    target : int
        The class.

    Returns
    -------
    ndarray, shape (frames, bands), 0 to 1
    """
    from captum.attr import Saliency

    network.eval()
    found = Saliency(network).attribute(features.float().requires_grad_(), target=target)
    return _scaled(found[0].amax(dim=0))


def class_activation(network, features, target):
    """Which places of the last maps speak for a class, brought to the spectrogram's size.

    Selvaraju et al., "Grad-CAM" (ICCV 2017).

    Parameters
    ----------
    network, features, target
        As in `saliency`; the last convolution of the network is looked at.

    Returns
    -------
    ndarray, shape (frames, bands), 0 to 1
    """
    from captum.attr import LayerAttribution, LayerGradCam

    network.eval()
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    found = LayerGradCam(network, last).attribute(features.float(), target=target, relu_attributions=True)
    return _scaled(LayerAttribution.interpolate(found, features.shape[2:], "bilinear")[0, 0])


def _scaled(values):
    values = values.detach().float().cpu().numpy()
    return values / max(float(values.max()), np.finfo(np.float32).tiny)


def both(network, features, target):
    """A clip as the network sees it, its saliency and its class activation: three ndarrays, (frames, bands)."""
    seen = features[0, 0].float().cpu().numpy()
    return seen, saliency(network, features, target), class_activation(network, features, target)


def right_and_wrong(network, clips):
    """The surest right and the surest wrong answer, explained.

    Parameters
    ----------
    network : nn.Module
    clips : SnippetDataset
        With labels, that the network never heard.

    Returns
    -------
    dict
        Title to the clip's row and the three pictures of `both`.
    """
    with torch.inference_mode():
        likely = torch.cat([network(part).float().softmax(dim=1) for part in clips.features.float().split(64)])
    sure, answers = likely.max(dim=1)
    found = {}
    for is_right in (True, False):
        rows = torch.nonzero((answers == clips.labels) == is_right)[:, 0]
        if len(rows):
            row = int(rows[sure[rows].argmax()])
            answer, truth = int(answers[row]), int(clips.labels[row])
            title = f"{'right' if is_right else 'wrong'}: heard as {CLASSES[answer]} ({sure[row]:.2f})"
            title += "" if is_right else f"\nlabelled {CLASSES[truth]}"
            found[title] = row, both(network, clips.features[row : row + 1], answer)
    return found


def on_known_voices(network, recipe, statistics, count, *, device, seed=0):
    """How much of the explanations of `half_sung` clips falls on the voice.

    Parameters
    ----------
    network : nn.Module
    recipe : Recipe
    statistics : tuple of ndarray, or None
        As in `SnippetDataset`.
    count : int
    device : Device
    seed : int

    Returns
    -------
    DataFrame
        A row a clip, ``saliency`` and ``class activation``: see `on_the_voice`.
    """
    features, sounds, labels = half_sung(recipe, count, seed=seed)
    clips = SnippetDataset(features, device=device.name, statistics=statistics, channels=recipe.channels)
    ways = {"saliency": saliency, "class activation": class_activation}
    return pd.DataFrame([
        {name: on_the_voice(way(network, clips.features[i : i + 1], int(label)), sounds[i])
         for name, way in ways.items()}
        for i, label in enumerate(labels)
    ])


def on_the_voice(found, sounds):
    """How much of an explanation falls on the time when a voice sounds, over how much would by chance.

    Parameters
    ----------
    found : ndarray, shape (frames, bands)
    sounds : ndarray, shape (frames,), bool
        Whether a voice sounds.

    Returns
    -------
    float
        1 is chance; NaN where the voice sounds all the time or never, or the explanation is empty.
    """
    if sounds.all() or not sounds.any() or not found.sum():
        return float("nan")
    return float(found[sounds].sum() / found.sum() / sounds.mean())


def half_sung(recipe, count, *, seed=0):
    """Synthetic clips in which one person sings for one half and nobody for the other, so that it is known when.

    Parameters
    ----------
    recipe : Recipe
        Of the features.
    count : int
    seed : int

    Returns
    -------
    features : ndarray, shape (count, frames, columns), float32
    sounds : ndarray, shape (count, frames), bool
        Whether the person sings there; the turn may lie 0.1 s off.
    labels : ndarray, shape (count,)
        1 for a man, 2 for a woman.
    """
    rng = np.random.default_rng([seed, 7])
    signals, labels, sounds_first = [], 1 + np.arange(count) % 2, rng.random(count) < 0.5
    for label, is_first in zip(labels, sounds_first):
        whole = song([label, 0] if is_first else [0, label], rng)
        middle = whole[CLIP_SAMPLES // 2 : CLIP_SAMPLES // 2 + CLIP_SAMPLES]
        signals.append(soxr.resample(middle, CLIP_RATE, recipe.sample_rate))
    features = np.stack([log_mel(signal, recipe) for signal in signals]).astype(np.float32)
    is_early = np.arange(features.shape[1]) < features.shape[1] / 2
    return features, np.where(sounds_first[:, None], is_early, ~is_early), labels
