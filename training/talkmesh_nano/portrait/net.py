"""The portrait finder: where a picture shows mouth and eyes, and how close it is to the training pictures of the decoder.

The exported graph takes uint8 [256, 256, 3] and gives
  landmarks [3, 2]  mouth, left and right eye as they appear, in pixels
  confidence [3]    0..1, how much of each heat map is near its peak
  kinds [7]         probabilities, in the order of KINDS
  attributes [4]    mouth opening 0..1, closed eyes 0..1, yaw and pitch in rig units (beyond about 1 is turned away)
  distance []       how far the picture's features are from those of drawn faces, in standard deviations per feature
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..render.pose import PICTURE_SIZE
from .data import ATTRIBUTES
from .scenes import KINDS, SIDE

MAP = 32
FEATURES = 64
OUTPUTS = ("landmarks", "confidence", "kinds", "attributes", "distance")


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(width, width), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class PortraitNet(nn.Module):
    """Pictures [B, 3, 128, 128] 0..255 -> heat maps [B, 3, 32, 32], kinds [B, 7] before softmax, attributes [B, 4], features [B, 64]."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_convolution(3, 12, 2), _convolution(12, 32, 2), _Residual(32))
        self.middle = nn.Sequential(_convolution(32, 48, 2), _Residual(48))
        self.coarse = nn.Sequential(_convolution(48, 80, 2), _Residual(80), _Residual(80))
        self.from_coarse, self.from_middle = nn.Conv2d(80, 48, 1), nn.Conv2d(48, 32, 1)
        self.up_middle, self.up_fine = _Residual(48), _Residual(32)
        self.heat = nn.Conv2d(32, 3, 1)
        self.described = nn.Sequential(nn.Linear(80 * 2 + 48 + 32 * 3, FEATURES), nn.ReLU())
        self.kinds = nn.Linear(FEATURES, len(KINDS))
        self.attributes = nn.Sequential(nn.Linear(FEATURES + 32 * 3, 48), nn.ReLU(), nn.Linear(48, len(ATTRIBUTES)))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fine = self.fine(pictures / 64 - 2)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.up_middle(middle + self.from_coarse(F.interpolate(coarse, scale_factor=2.0)))
        up = self.up_fine(fine + self.from_middle(F.interpolate(middle, scale_factor=2.0)))
        heat = self.heat(up)
        # the features at the three landmarks
        spots = heat.flatten(2).softmax(2) @ up.flatten(2).transpose(1, 2)
        pooled = torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3)), middle.mean((2, 3)), spots.flatten(1)], 1)
        features = self.described(pooled)
        return heat, self.kinds(features), self.attributes(torch.cat([features, spots.flatten(1)], 1)), features


def cells(device: torch.device | None = None) -> Tensor:
    """Centres of the heat map's cells in 0..1 of the picture, [1024, 2] as x, y."""
    steps = (torch.arange(MAP, device=device) + 0.5) / MAP
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)


def expected_places(heat: Tensor) -> Tensor:
    """[B, 3, 32, 32] -> [B, 3, 2]: the mean place of each heat map, 0..1."""
    return heat.flatten(2).softmax(2) @ cells(heat.device)


class PortraitGraph(nn.Module):
    """The exported graph: the network with its pre- and post-processing. `mean` and `scale` [64] describe the features of drawn faces."""

    def __init__(self, net: PortraitNet, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("cells", cells())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        pictures = F.avg_pool2d(image.float().permute(2, 0, 1)[None], PICTURE_SIZE // SIDE)
        heat, kinds, attributes, features = self.net(pictures)
        places = heat.flatten(2).softmax(2)
        landmarks = (places @ self.cells)[0] * PICTURE_SIZE
        near = F.avg_pool2d(places.reshape(1, 3, MAP, MAP), 3, 1, 1) * 9
        confidence = near.flatten(2).amax(2)[0]
        distance = ((features[0] - self.mean) / self.scale).square().mean().sqrt()
        return landmarks, confidence, kinds.softmax(1)[0], attributes[0], distance
