"""The pixel encoder: 12 frames and the clean reference -> motion latents, distilled from the rig's linear code.

It reads the rig frame by frame from half-size pictures (pose first, then mouth and eyes where the pose puts them) and
applies the code of rig.py. The state carries the last frame's reading, which steadies the next: causal, chunk by chunk.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..decoder.rig_matrices import LATENT
from ..motion.rig import HIGH, LOW, NAMES, NEUTRAL, TEMPORAL, encode_rig
from ..render.pose import SCALE, layer_sources

SIZE, HALF = 256, 128
FRAMES = 12
STATE_SHAPE = (len(NAMES) + 1,)
POSE, MOUTH, EYES = slice(9, 15), slice(0, 5), slice(5, 9)
CROPS = {"mouth": (48, 40, 6.0), "eye": (32, 40, -6.0)}
"""Width and height in half-size pixels, and how far below its landmark the middle lies."""


def half_yuv(frames: Tensor) -> Tensor:
    """I420 uint8 [n, 98304] -> [n, 3, 128, 128] of -1..1."""
    area = SIZE * SIZE
    luma = F.avg_pool2d(frames[:, :area].reshape(-1, 1, SIZE, SIZE).float(), 2)
    return torch.cat([luma, frames[:, area:].reshape(-1, 2, HALF, HALF).float()], 1) / 127.5 - 1


def landmark_motion() -> np.ndarray:
    """How far pose [6] moves mouth and eyes, [6, 2] half-size pixels per unit: a fit on the renderer's own geometry."""
    rng = np.random.default_rng(4)
    rig = np.tile(NEUTRAL, (256, 1))
    rig[:, POSE] = rng.normal(size=(256, 6)) * 0.5
    geometry = torch.tensor([[104.0, 128.0, 298.0, 0.0]]).expand(256, -1)
    sources = layer_sources(torch.from_numpy(rig.astype(np.float32)), geometry, 64)[:, 2]
    grid = layer_sources(torch.from_numpy(NEUTRAL[None]), geometry[:1], 64)[:, 2]
    middle = (sources - grid)[:, 28:38, 28:36].mean((1, 2)).numpy()
    return (-np.linalg.lstsq(rig[:, POSE], middle, rcond=None)[0] * SCALE / 2).astype(np.float32)


def _tower(inputs: int, widths: tuple[int, ...], outputs: int, cells: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, width in enumerate(widths):
        layers += [nn.Conv2d(inputs, width, 3, 2, 1), nn.SiLU()]
        if i:
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.SiLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * cells, 96), nn.SiLU(), nn.Linear(96, outputs))


class RigReader(nn.Module):
    """Half-size pictures and their reference -> rig rows."""

    def __init__(self) -> None:
        super().__init__()
        self.pose = _tower(6, (20, 32, 48, 48), 6, 16)
        self.mouth = _tower(6, (24, 40, 56), 5, 30)
        self.eyes = _tower(6, (24, 32, 48), 4, 20)
        self.register_buffer("motion", torch.from_numpy(landmark_motion()))
        self.register_buffer("centre", torch.tensor([0.35, 0.5, 0.3, 0.4, 0.3, 0.3, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
        self.register_buffer("spread", torch.tensor([0.3, 0.2, 0.3, 0.3, 0.2, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.6, 0.6, 0.6]))

    def _crop(self, picture: Tensor, landmarks: Tensor, kind: str, pose: Tensor | None) -> Tensor:
        """Boxes around landmarks [n, 2] (pixels of 256); with a pose, where it puts them."""
        width, height, below = CROPS[kind]
        x = torch.arange(width, device=picture.device) - (width - 1) / 2
        y = torch.arange(height, device=picture.device) - (height - 1) / 2 + below
        centre = landmarks / 2
        if pose is None:
            across, along = x.expand(height, -1)[None], y[:, None].expand(-1, width)[None]
        else:
            centre = centre + pose @ self.motion
            # roll is six degrees a unit
            angle = pose[:, 2, None, None] * (6 * np.pi / 180)
            across = x[None, None] - y[None, :, None] * angle
            along = y[None, :, None] + x[None, None] * angle
        places = torch.stack([across + centre[:, 0, None, None], along + centre[:, 1, None, None]], -1)
        return F.grid_sample(picture, places * (2 / HALF) - 1, align_corners=False, padding_mode="border")

    def forward(self, picture: Tensor, reference: Tensor, landmarks: Tensor) -> Tensor:
        """picture, reference [n, 3, 128, 128], landmarks [n, 3, 2] -> rig [n, 15], not clipped."""
        small = F.avg_pool2d(torch.cat([picture - reference, reference], 1), 2)
        pose = self.pose(small) * self.spread[POSE] + self.centre[POSE]
        placed = pose.detach()

        def compared(kind: str, landmark: int) -> Tensor:
            now = self._crop(picture, landmarks[:, landmark], kind, placed)
            before = self._crop(reference, landmarks[:, landmark], kind, None)
            return torch.cat([now - before, before], 1)

        mouth = self.mouth(compared("mouth", 0))
        left, right = compared("eye", 1), compared("eye", 2).flip(3)
        mirror = torch.tensor([1.0, -1, 1, 1], device=picture.device)
        eyes = (self.eyes(left) + self.eyes(right) * mirror) / 2
        return torch.cat([mouth * self.spread[MOUTH] + self.centre[MOUTH], eyes * self.spread[EYES] + self.centre[EYES], pose], 1)


class EncoderGraph(nn.Module):
    """frames uint8 [12, 98304], reference uint8 [1, 98304], landmarks [3, 2], state [16] -> latent [3, 8, 2, 2], state_out.

    `steady` [15]: how much of the last reading is kept in each rig number.
    """

    def __init__(self, reader: RigReader, steady: np.ndarray) -> None:
        super().__init__()
        self.reader = reader
        units = np.eye(TEMPORAL * len(NAMES), dtype=np.float32).reshape(-1, len(NAMES))
        groups = units.reshape(TEMPORAL * len(NAMES), TEMPORAL, len(NAMES))
        bias = encode_rig(np.zeros((TEMPORAL, len(NAMES)), np.float32)).reshape(-1)
        matrix = np.concatenate([encode_rig(group).reshape(1, -1) for group in groups]) - bias
        for name, value in (("matrix", matrix), ("bias", bias), ("steady", steady.astype(np.float32)), ("low", LOW), ("high", HIGH)):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value)))

    def forward(self, frames: Tensor, reference: Tensor, landmarks: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        picture = half_yuv(frames)
        rows = self.reader(picture, half_yuv(reference).expand(FRAMES, -1, -1, -1), landmarks[None].expand(FRAMES, -1, -1))
        rows = torch.maximum(torch.minimum(rows, self.high), self.low)
        last, keep, steadied = state[:-1], state[-1:] * self.steady, []
        for row in rows:
            last = row + keep * (last - row)
            keep = self.steady
            steadied.append(last)
        latent = torch.stack(steadied).reshape(-1, TEMPORAL * len(NAMES)) @ self.matrix + self.bias
        return latent.reshape(-1, LATENT // 4, 2, 2), torch.cat([last, torch.ones(1)])


def best_steady(read: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How much of the last reading to keep, per rig number, so that the error of tracks [clips, frames, 15] is smallest."""
    choices = np.linspace(0, 0.8, 17)
    errors = []
    for keep in choices:
        last, error = read[:, 0], np.zeros(len(NAMES))
        for frame in range(1, read.shape[1]):
            last = read[:, frame] + keep * (last - read[:, frame])
            error += np.square(last - truth[:, frame]).sum(0)
        errors.append(error)
    return choices[np.argmin(errors, 0)].astype(np.float32)
