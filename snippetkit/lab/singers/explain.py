"""Explanations of a network's predictions over the spectrogram, by captum, and how much of them falls on the voice."""

import numpy as np
import pandas as pd
import soxr
import torch

from ...data.labels import CLASSES
from ...data.synthesis import CLIP_RATE, CLIP_SAMPLES, song
from ...dataset import SnippetDataset
from ...filterbank import log_mel


def saliency(network, features, target):
    """Magnitude of the gradient of a class's logit at each point of the spectrogram.

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
    gradients = Saliency(network).attribute(features.float().requires_grad_(), target=target)
    return _scaled(gradients[0].amax(dim=0))


def class_activation(network, features, target):
    """Grad-CAM: the feature maps of the last convolution, weighted by their influence on a class.

    Selvaraju et al., "Grad-CAM" (ICCV 2017).

    Parameters
    ----------
    network, features, target
        As in `saliency`.

    Returns
    -------
    ndarray, shape (frames, bands), 0 to 1
        Interpolated to the size of the spectrogram.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    network.eval()
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    activation = LayerGradCam(network, last).attribute(features.float(), target=target, relu_attributions=True)
    return _scaled(LayerAttribution.interpolate(activation, features.shape[2:], "bilinear")[0, 0])


def occlusion(network, features, target):
    """How far the log-odds of a class fall when a part of the clip is hidden.

    Zeiler and Fergus, "Visualizing and understanding convolutional networks" (ECCV 2014). In `_HIDDEN` frames each band
    is replaced by its mean over the clip.

    Parameters
    ----------
    network, features, target
        As in `saliency`.

    Returns
    -------
    ndarray, shape (frames, bands), 0 to 1
        Equal in all bands.
    """
    from captum.attr import Occlusion

    network.eval()
    shape = (features.shape[1], min(_HIDDEN, features.shape[2]), features.shape[3])
    falls = Occlusion(lambda clips: _log_odds(network(clips).float())).attribute(
        features.float(), target=target, sliding_window_shapes=shape, strides=(shape[0], shape[1] // 2, shape[2]),
        baselines=features.float().mean(dim=2, keepdim=True).expand_as(features), perturbations_per_eval=32,
    )
    return _scaled(falls[0].amax(dim=0).clamp_min(0))


EXPLANATIONS = {"saliency": saliency, "class activation": class_activation, "occlusion": occlusion}
_HIDDEN = 30        # frames, 0.3 s of the published features


def _log_odds(logits):
    """Logarithm of p / (1 - p) of each class: Tensor (clips, classes) to (clips, classes)."""
    others = logits[:, None] + torch.diag(torch.full((logits.shape[1],), -torch.inf, device=logits.device))
    return logits - others.logsumexp(dim=2)


def _scaled(values):
    values = values.detach().float().cpu().numpy()
    return values / max(float(values.max()), np.finfo(np.float32).tiny)


def explain_most_confident(network, clips):
    """Explain the most confident correct prediction and the most confident wrong one.

    Parameters
    ----------
    network : nn.Module
    clips : SnippetDataset
        With labels; the network's validation set.

    Returns
    -------
    dict
        Title to the clip's row, its features, ndarray (frames, bands), and a dict of `EXPLANATIONS` of that shape.
    """
    with torch.inference_mode():
        probabilities = torch.cat([network(part).float().softmax(dim=1) for part in clips.features.float().split(64)])
    confidence, predicted = probabilities.max(dim=1)
    explanations = {}
    for title, is_correct in (("correct", True), ("wrong", False)):
        rows = torch.nonzero((predicted == clips.labels) == is_correct)[:, 0]
        if len(rows):
            row = int(rows[confidence[rows].argmax()])
            label, features = int(predicted[row]), clips.features[row : row + 1]
            title += f": predicted {CLASSES[label]} ({confidence[row]:.2f})"
            title += "" if is_correct else f"\nlabelled {CLASSES[int(clips.labels[row])]}"
            maps = {name: explain(network, features, label) for name, explain in EXPLANATIONS.items()}
            explanations[title] = row, features[0, 0].detach().float().cpu().numpy(), maps
    return explanations


def measure_on_voices(network, recipe, statistics, count, *, device, seed=0):
    """Measure how much of the explanations of `half_sung_clips` falls on the voice.

    Parameters
    ----------
    network : nn.Module
    recipe : Recipe
    statistics : tuple of ndarray, or None
        As in `SnippetDataset`.
    count : int
        Number of clips.
    device : Device
    seed : int

    Returns
    -------
    DataFrame
        A row per clip, a column per name of `EXPLANATIONS`: see `ratio_on_voice`.
    """
    features, is_sung, labels = half_sung_clips(recipe, count, seed=seed)
    clips = SnippetDataset(features, device=device.name, statistics=statistics, channels=recipe.channels)
    return pd.DataFrame([
        {name: ratio_on_voice(explain(network, clips.features[i : i + 1], int(label)), is_sung[i])
         for name, explain in EXPLANATIONS.items()}
        for i, label in enumerate(labels)
    ])


def ratio_on_voice(explanation, is_sung):
    """Share of an explanation in the frames with a voice, divided by the share of those frames.

    Parameters
    ----------
    explanation : ndarray, shape (frames, bands)
    is_sung : ndarray, shape (frames,), bool

    Returns
    -------
    float
        1 is chance. NaN if all frames or none have a voice, or the explanation is zero everywhere.

    Examples
    --------
    >>> ratio_on_voice(np.array([[3.0], [1.0]]), np.array([True, False]))
    1.5
    """
    if is_sung.all() or not is_sung.any() or not explanation.sum():
        return float("nan")
    return float(explanation[is_sung].sum() / explanation.sum() / is_sung.mean())


def half_sung_clips(recipe, count, *, seed=0):
    """Synthesise clips in which one person sings in one half only.

    Parameters
    ----------
    recipe : Recipe
        Of the features.
    count : int
    seed : int

    Returns
    -------
    features : ndarray, shape (count, frames, columns), float32
    is_sung : ndarray, shape (count, frames), bool
        Whether the person sings, to within 0.1 s.
    labels : ndarray, shape (count,)
        1 male voice, 2 female voice.
    """
    rng = np.random.default_rng([seed, 7])
    signals, labels, is_first_half = [], 1 + np.arange(count) % 2, rng.random(count) < 0.5
    for label, is_first in zip(labels, is_first_half):
        whole = song([label, 0] if is_first else [0, label], rng)
        middle = whole[CLIP_SAMPLES // 2 : CLIP_SAMPLES // 2 + CLIP_SAMPLES]
        signals.append(soxr.resample(middle, CLIP_RATE, recipe.sample_rate))
    features = np.stack([log_mel(signal, recipe) for signal in signals]).astype(np.float32)
    is_early = np.arange(features.shape[1]) < features.shape[1] / 2
    return features, is_first_half[:, None] == is_early, labels
