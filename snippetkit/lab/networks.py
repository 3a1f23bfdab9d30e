"""Classical network architectures as models of a recipe (``model=lab.crnn`` and so on; see pyproject.toml).

Each takes (batch, channels, frames, bands), with any number of frames, and returns logits, (batch, classes).
"""

import torch
from torch import nn

from ..models import build
from ..utils.errors import KitError


class CRNN(nn.Module):
    """Convolutions, then a GRU over time (Choi et al., "Convolutional recurrent neural networks", ICASSP 2017).

    Examples
    --------
    >>> CRNN(classes=4, dropout=0.2, channels=1)(torch.zeros(2, 1, 299, 40)).shape
    torch.Size([2, 4])
    """

    smallest_input = (8, 8)

    def __init__(self, classes, dropout, channels, width=64):
        super().__init__()
        self.convolutions = nn.Sequential(
            _block(channels, width), _block(width, width), _block(width, 2 * width), nn.AdaptiveAvgPool2d((None, 4)),
        )
        self.recurrent = nn.GRU(4 * 2 * width, width, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, classes))

    def forward(self, features):
        maps = self.convolutions(features)                      # (batch, maps, frames, 4)
        sequence = maps.transpose(1, 2).flatten(2)
        states, _ = self.recurrent(sequence)
        return self.head(states.mean(dim=1))


class TCN(nn.Module):
    """Dilated convolutions over time with residual connections (Bai, Kolter and Koltun, arXiv:1803.01271), not causal.

    Examples
    --------
    >>> TCN(classes=4, dropout=0.2, channels=1)(torch.zeros(2, 1, 299, 40)).shape
    torch.Size([2, 4])
    """

    def __init__(self, classes, dropout, channels, width=128, levels=5):
        super().__init__()
        self.bands = nn.AdaptiveAvgPool2d((None, 40))       # the same number of bands for all features
        self.first = nn.Conv1d(40 * channels, width, 1)
        self.levels = nn.ModuleList(_Dilated(width, 2**level, dropout) for level in range(levels))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, classes))

    def forward(self, features):
        sequence = self.first(self.bands(features).transpose(2, 3).flatten(1, 2))   # (batch, width, frames)
        for level in self.levels:
            sequence = level(sequence)
        return self.head(sequence.mean(dim=2))


class _Dilated(nn.Module):
    def __init__(self, width, dilation, dropout):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Dropout(dropout), nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation), nn.BatchNorm1d(width),
        )

    def forward(self, sequence):
        return torch.relu(sequence + self.layers(sequence))


class Transformer(nn.Module):
    """Self-attention over patches (Gong, Chung and Glass, "AST", Interspeech 2021), small and not pretrained.

    Sines of time and of frequency encode the position of a patch, so a clip may have any length.

    Examples
    --------
    >>> Transformer(classes=4, dropout=0.2, channels=1)(torch.zeros(2, 1, 299, 40)).shape
    torch.Size([2, 4])
    """

    smallest_input = (16, 8)

    def __init__(self, classes, dropout, channels, width=128, layers=4, patch=(16, 8)):
        super().__init__()
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, classes))

    def forward(self, features):
        patches = self.patches(features)
        _, width, rows, columns = patches.shape
        positions = _encode_positions(rows, columns, width, patches.device).to(patches.dtype)
        tokens = (patches + positions).flatten(2).transpose(1, 2)
        return self.head(self.encoder(tokens).mean(dim=1))


def _encode_positions(rows, columns, width, device):
    """Sines and cosines of a patch's time in the first half of the channels, of its frequency in the second half."""
    rates = 10_000 ** (-torch.arange(width // 4, device=device) / (width // 4))
    positions = torch.meshgrid(torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij")
    angles = [position[..., None] * rates for position in positions]
    waves = [wave(angle) for angle in angles for wave in (torch.sin, torch.cos)]
    return torch.cat(waves, dim=2).permute(2, 0, 1)[None]


def simple_cnn(classes, dropout, channels, filters=(32, 64, 64, 128), kernel=3):
    """Four convolutions and one dense layer, as in the genre study's first network.

    Examples
    --------
    >>> simple_cnn(classes=4, dropout=0.2, channels=1)(torch.zeros(2, 1, 299, 40)).shape
    torch.Size([2, 4])
    """
    layers = [_block(inputs, outputs, kernel=kernel) for inputs, outputs in zip((channels, *filters), filters)]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d((4, 2)), nn.Flatten(), nn.Linear(8 * filters[-1], 64), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(64, classes),
    )


simple_cnn.smallest_input = (16, 16)


class WaveCNN(nn.Module):
    """Convolutions on samples (Dai et al., "Very deep convolutional networks for raw waveforms", ICASSP 2017).

    Its features are (batch, 1, samples, 1): each sample is a frame with one band.

    Raises
    ------
    KitError
        If the features have more than one band.

    Examples
    --------
    >>> WaveCNN(classes=4, dropout=0.2, channels=1)(torch.zeros(2, 1, 24_000, 1)).shape
    torch.Size([2, 4])
    """

    def __init__(self, classes, dropout, channels):
        super().__init__()
        layers = [nn.Conv1d(1, 64, 80, 4), nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(4)]
        for before, width in ((64, 64), (64, 128), (128, 256), (256, 512)):
            for inputs in (before, width):
                layers += [nn.Conv1d(inputs, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU()]
            layers.append(nn.MaxPool1d(4))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(512, classes))

    def forward(self, features):
        if features.shape[-1] != 1:
            raise KitError("model=lab.wave takes samples, not spectrograms. Choose another model.")
        return self.head(self.layers(features[..., 0]).mean(dim=2))


class TwoHeads(nn.Module):
    """A ResNet18 with one head for "is there a voice?" and one for "whose?"; class 0 is no voice.

    Its logits are the logarithms of ``P(no voice)`` and of ``P(voice) · P(who | voice)``, so cross-entropy is the sum
    of the losses of both heads.

    Examples
    --------
    >>> TwoHeads(classes=4, dropout=0.2, channels=1)(torch.zeros(2, 1, 299, 40)).exp().sum(dim=1).round().tolist()
    [1.0, 1.0]
    """

    def __init__(self, classes, dropout, channels):
        super().__init__()
        self.body = build("resnet18", classes=1 + classes, dropout=dropout, channels=channels)

    def forward(self, features):
        voice, none, who = self.body(features).float().split([1, 1, self.body.fc[-1].out_features - 2], dim=1)
        is_voice = nn.functional.logsigmoid(voice - none)
        return torch.cat([nn.functional.logsigmoid(none - voice), is_voice + who.log_softmax(dim=1)], dim=1)


def _block(inputs, outputs, *, kernel=3):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding="same", bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
        nn.MaxPool2d(2),
    )
