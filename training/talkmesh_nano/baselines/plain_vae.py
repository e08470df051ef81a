"""A plain convolutional VAE, the baseline that is compared with the decoder at equal cost: four frames a latent frame, causal, no reference.

Frames are packed I420 [6, 128, 128], -1..1; a latent frame is [32, 16, 16]: 8,192 numbers. Identity is in its latents, so it
has to paint everything. Each half adds convolutions to a linear path that starts as the principal components of baselines.linear,
whitened: it starts as the linear optimum, which short training cannot fall behind by chance.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..motion.rig import TEMPORAL

NUMBERS = 32
"""Channels of a latent frame, for each 8 x 8 packed pixels."""
PATCH, STACK = 8, 6 * TEMPORAL


class Block(nn.Module):
    """Two convolutions beside an identity; the second starts small."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        nn.init.normal_(self.second.weight, 0, 0.01)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


def with_past(x: Tensor) -> Tensor:
    """[B, T, c, h, w] -> [B T, 2 c, h, w]: each latent frame beside the one before it, zeros before the first."""
    past = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
    return torch.cat([past, x], 2).flatten(0, 1)


def _quiet(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.normal_(layer.weight, 0, 1e-3)
    nn.init.zeros_(layer.bias)
    return layer


class PlainEncoder(nn.Module):
    """frames [B, 4 T, 6, h, w] -> mean and logarithm of the variance, both [B, T, 32, h/8, w/8]."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv2d(STACK, NUMBERS, PATCH, PATCH)
        self.stem = nn.Sequential(nn.Conv2d(STACK, 32, 3, 2, 1), Block(32), nn.Conv2d(32, 48, 3, 2, 1), Block(48), nn.Conv2d(48, 64, 3, 2, 1))
        self.tail = nn.Sequential(nn.Conv2d(128, 64, 3, 1, 1), Block(64), nn.SiLU(), _quiet(nn.Conv2d(64, 2 * NUMBERS, 1)))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        batch = len(frames)
        stacked = frames.reshape(-1, STACK, *frames.shape[-2:])
        features = self.stem(stacked)
        mean, spread = self.tail(with_past(features.unflatten(0, (batch, -1)))).chunk(2, 1)
        return (mean + self.linear(stacked)).unflatten(0, (batch, -1)), (spread - 6).clamp(-12, 2).unflatten(0, (batch, -1))


class PlainDecoder(nn.Module):
    """latents [B, T, 32, h, w] -> frames [B, 4 T, 6, 8 h, 8 w]."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.ConvTranspose2d(NUMBERS, STACK, PATCH, PATCH)
        self.coarse = nn.Sequential(nn.Conv2d(2 * NUMBERS, 64, 3, 1, 1), Block(64), nn.Conv2d(64, 256, 1), nn.PixelShuffle(2), Block(64))
        self.split = nn.Conv2d(64, 40 * TEMPORAL, 1)
        self.fine = nn.Sequential(Block(40), nn.Conv2d(40, 96, 1), nn.PixelShuffle(2), Block(24), nn.SiLU(), _quiet(nn.Conv2d(24, 24, 3, 1, 1)), nn.PixelShuffle(2))

    def forward(self, latents: Tensor) -> Tensor:
        single = self.split(self.coarse(with_past(latents)))
        detail = self.fine(single.reshape(-1, 40, *single.shape[-2:]))
        painted = self.linear(latents.flatten(0, 1)).reshape(detail.shape) + detail
        return painted.unflatten(0, (len(latents), -1))


class PlainVae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = PlainEncoder(), PlainDecoder()

    @torch.no_grad()
    def start_linear(self, mean: np.ndarray, components: np.ndarray, variances: np.ndarray) -> None:
        """Both linear paths become principal components of bytes: mean [1536], components [1536, n], variances [n]."""
        deviation = torch.from_numpy(np.sqrt(variances[:NUMBERS]).astype(np.float32)) / 127.5
        basis = torch.from_numpy(np.ascontiguousarray(components[:, :NUMBERS].T)).reshape(NUMBERS, STACK, PATCH, PATCH)
        centre = torch.from_numpy(mean.astype(np.float32)).reshape(STACK, PATCH, PATCH) / 127.5 - 1
        coding, painting = self.encoder.linear, self.decoder.linear
        coding.weight.copy_(basis / deviation[:, None, None, None])
        coding.bias.copy_(-(coding.weight * centre).sum((1, 2, 3)))
        painting.weight.copy_(basis * deviation[:, None, None, None])
        # a bias is one number a channel, and the mean of a patch is nearly flat
        painting.bias.copy_(centre.mean((1, 2)))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames painted from sampled latents, and the mean divergence of a number (nats) from a unit normal."""
        mean, spread = self.encoder(frames)
        divergence = 0.5 * (mean.square() + spread.exp() - 1 - spread).mean()
        return self.decoder(mean + torch.randn_like(mean) * (0.5 * spread).exp()), divergence
