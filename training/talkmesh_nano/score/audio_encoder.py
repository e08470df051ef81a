"""Audio encoder: 24 kHz PCM to tokens aligned with video frames. The log-mel front end is part of the graph."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..sizes import FRAME_SAMPLES, HISTORY_SAMPLES, RATE_HZ, TOKEN_DIM, TOKENS_PER_LATENT

HOP, WINDOW, BINS, MELS = 240, 512, 172, 64


def mel_filters(low_hz=60.0, high_hz=7900.0):
    """Triangular mel filters [MELS, BINS] over the first BINS bins of a WINDOW-point DFT."""
    def to_mel(hz):
        return 2595 * math.log10(1 + hz / 700)

    mels = np.linspace(to_mel(low_hz), to_mel(high_hz), MELS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    hz = np.arange(BINS) * RATE_HZ / WINDOW
    up = (hz[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - hz[None]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(up, down))
    # the lowest filters are narrower than a bin: give each at least its nearest bin
    for i in np.flatnonzero(filters.sum(1) < 0.3):
        filters[i, np.abs(hz - edges[i + 1]).argmin()] = 1.0
    return filters.astype(np.float32)


def _gelu(x):
    # the exact form has a wrong gradient on some oneDNN builds
    return F.gelu(x, approximate="tanh")


class LogMel(nn.Module):
    """pcm [B, S] -> log-mel [B, MELS, S / HOP], about zero mean and unit spread; the DFT is a convolution."""

    def __init__(self):
        super().__init__()
        n, k = np.arange(WINDOW), np.arange(BINS)[:, None]
        angle = 2 * np.pi * k * n / WINDOW
        basis = np.concatenate([np.cos(angle), -np.sin(angle)]) * np.hanning(WINDOW)
        self.register_buffer("basis", torch.tensor(basis[:, None] * 0.1, dtype=torch.float32))
        self.register_buffer("filters", torch.tensor(mel_filters())[:, :, None])

    def forward(self, pcm):
        edge = (WINDOW - HOP) // 2
        spectrum = F.conv1d(F.pad(pcm[:, None], (edge, edge)), self.basis, stride=HOP)
        power = spectrum[:, :BINS] ** 2 + spectrum[:, BINS:] ** 2
        return (torch.log(F.conv1d(power, self.filters) + 1e-5) + 4.0) / 4.0


class _Block(nn.Module):
    """Residual dilated convolution."""

    def __init__(self, channels, kernel, dilation):
        super().__init__()
        self.wide = nn.Conv1d(channels, channels, kernel, padding=kernel // 2 * dilation, dilation=dilation)
        self.point = nn.Conv1d(channels, channels, 1)
        nn.init.zeros_(self.point.weight)
        nn.init.zeros_(self.point.bias)

    def forward(self, x):
        return x + self.point(_gelu(self.wide(_gelu(x))))


class AudioEncoder(nn.Module):
    """pcm [B, S] (S a multiple of 960) -> tokens [B, S / 960, TOKEN_DIM], one per video frame.

    A token may use the whole window, never what follows it: the window is the causal limit.
    `head` reads mouth shape (4), closed and silent logits from a token: the pre-training task.
    """

    def __init__(self, fast=128, slow=160):
        super().__init__()
        self.mel = LogMel()
        self.stem = nn.Conv1d(MELS, fast, 5, padding=2)
        self.fast = nn.Sequential(_Block(fast, 5, 1), _Block(fast, 5, 2))
        self.down1 = nn.Conv1d(fast, slow, 4, stride=2, padding=1)
        self.middle = nn.Sequential(_Block(slow, 5, 1), _Block(slow, 5, 2), _Block(slow, 5, 4))
        self.down2 = nn.Conv1d(slow, slow, 4, stride=2, padding=1)
        self.slow = nn.Sequential(_Block(slow, 3, 1), _Block(slow, 3, 2))
        self.out = nn.Conv1d(slow, TOKEN_DIM, 1)
        self.head = nn.Linear(TOKEN_DIM, 6)

    def forward(self, pcm):
        x = self.middle(self.down1(self.fast(self.stem(self.mel(pcm)))))
        x = self.out(self.slow(self.down2(x))).transpose(1, 2)
        return F.layer_norm(x, (TOKEN_DIM,))

    def read(self, tokens):
        """(mouth [.., 4] in 0..1, closed logit, silent logit) of tokens."""
        y = self.head(tokens)
        return torch.sigmoid(y[..., :4]), y[..., 4], y[..., 5]


class AudioGraph(nn.Module):
    """The exported graph: pcm [S] -> audio_tokens [F, Ta, Da] of all latent frames after the history, of any number."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, pcm):
        tokens = self.encoder(pcm[None])[0, HISTORY_SAMPLES // FRAME_SAMPLES:]
        return tokens.reshape(-1, TOKENS_PER_LATENT, TOKEN_DIM)
