"""The decoder's networks: patches drawn as reference + linear residual, and head pose as a blend of flow fields.

Masks and gates are left out on purpose: with them the networks settled on returning the reference unchanged.
Pictures are packed I420 at half resolution, -1..1 (see pixels.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import FlowNetSize, PatchNetSize, PatchSize

PACKED = 6


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2)


def _centres(height: int, width: int, device: torch.device) -> Tensor:
    """grid_sample coordinates [height, width, 2] of the pixels themselves."""
    y = (torch.arange(height, device=device) + 0.5) * (2 / height) - 1
    x = (torch.arange(width, device=device) + 0.5) * (2 / width) - 1
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)


class PatchReference(nn.Module):
    """Features of a reference patch, computed once per avatar."""

    def __init__(self, size: PatchNetSize) -> None:
        super().__init__()
        self.fine, self.fine_more = _conv(PACKED, size.fine), _conv(size.fine, size.fine)
        self.coarse, self.coarse_more = _conv(size.fine + 4 * PACKED, size.coarse), _conv(size.coarse, size.coarse)
        self.whole = nn.Linear(size.coarse, 64)

    def forward(self, patch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """patch [A, 6, h, w] -> fine [A, f, h, w], coarse [A, c, h/2, w/2], whole [A, 64]."""
        fine = F.silu(self.fine(patch))
        fine = fine + self.fine_more(F.silu(fine))
        coarse = F.silu(self.coarse(torch.cat([F.avg_pool2d(fine, 2), F.pixel_unshuffle(patch, 2)], 1)))
        coarse = coarse + self.coarse_more(F.silu(coarse))
        return fine, coarse, self.whole(F.silu(coarse).mean((2, 3)))


class StyledBlock(nn.Module):
    """Residual block whose normalised input is scaled and shifted by the motion."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.first, self.second = _conv(channels, channels), _conv(channels, channels)
        self.style = nn.Linear(hidden, 2 * channels)
        nn.init.normal_(self.style.weight, 0, 0.12)
        nn.init.zeros_(self.style.bias)
        self.second.weight.data *= 0.5

    def forward(self, x: Tensor, motion: Tensor) -> Tensor:
        scale, shift = self.style(motion)[:, :, None, None].chunk(2, 1)
        return x + self.second(F.silu(self.first(F.silu(self.norm(x) * (1 + scale) + shift))))


class PatchNet(nn.Module):
    """Redraws a patch of the reference for given rig numbers."""

    def __init__(self, size: PatchNetSize, patch: PatchSize) -> None:
        super().__init__()
        self.grid = (patch.height // 8, patch.width // 8)
        self.code = size.code
        self.reference = PatchReference(size)
        self.numbers = nn.Linear(size.numbers, size.hidden)
        nn.init.normal_(self.numbers.weight, 0, 1.2 / size.numbers**0.5)
        nn.init.normal_(self.numbers.bias, 0, 0.5)
        self.whole = nn.Linear(64, size.hidden)
        self.motion = nn.Sequential(nn.SiLU(), nn.Linear(size.hidden, size.hidden), nn.SiLU())
        self.spread = nn.Linear(size.hidden, size.code * self.grid[0] * self.grid[1])
        self.spread.weight.data *= 2.5
        self.enter = _conv(size.coarse + size.code, size.coarse)
        self.blocks = nn.ModuleList(StyledBlock(size.coarse, size.hidden) for _ in range(size.blocks))
        self.up = _conv(size.coarse, 4 * size.fine, 1)
        self.join, self.refine = _conv(2 * size.fine, size.fine), _conv(size.fine, size.fine)
        self.style = nn.Linear(size.hidden, 2 * size.fine)
        self.slide = size.slide
        if self.slide is not None:
            self.gain = _conv(size.fine, 1)
            self.gain.weight.data *= 0.1
        self.leave = _conv(size.fine, 2 * PACKED)
        self.leave.weight.data *= torch.tensor([0.3, 0.1]).repeat_interleave(PACKED)[:, None, None, None]

    def prepare(self, reference: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """reference [A, 6, h, w] -> what all frames share.

        The reference itself, entered [A, c, h/2, w/2], joined [A, f, h, w], whole [A, hidden].

        The two convolutions that see the reference beside the motion are linear, so their reference half is done here.
        """
        fine, coarse, whole = self.reference(reference)
        entered = F.conv2d(coarse, self.enter.weight[:, : coarse.shape[1]], self.enter.bias, padding=1)
        joined = F.conv2d(fine, self.join.weight[:, -fine.shape[1] :], self.join.bias, padding=1)
        return reference, entered, joined, self.whole(whole)

    def residual(self, numbers: Tensor, reference: Tensor, entered: Tensor, joined: Tensor, whole: Tensor) -> Tensor:
        """numbers [B, n] (centred), `prepare` of B (or 1) references -> residual [B, 6, h, w].

        Half of the last channels are added, half multiply the reference first: to erase an iris or a lip line exactly,
        the network only has to place it. Both are linear and start near zero.
        """
        motion = self.motion(self.numbers(numbers) + whole)
        code = self.spread(motion).view(-1, self.code, *self.grid)
        code = F.interpolate(code, scale_factor=2.0, mode="bilinear", align_corners=False)
        x = entered + F.conv2d(code, self.enter.weight[:, -self.code :], padding=1)
        for block in self.blocks:
            x = block(x, motion)
        x = F.pixel_shuffle(self.up(F.silu(x)), 2)
        scale, shift = self.style(motion)[:, :, None, None].chunk(2, 1)
        x = (joined + F.conv2d(x, self.join.weight[:, : x.shape[1]], padding=1)) * (1 + scale) + shift
        x = x + self.refine(F.silu(x))
        x = F.silu(x)
        if self.slide is None:
            added, factor = self.leave(x).chunk(2, 1)
            return added + factor * reference
        # one convolution instead of two: the runtime fills channels up to a multiple of 16
        both = F.conv2d(x, torch.cat([self.leave.weight, self.gain.weight]), torch.cat([self.leave.bias, self.gain.bias]), padding=1)
        added, factor, gain = both.split([PACKED, PACKED, 1], 1)
        moved = self._slid(reference, gain, numbers[:, 1:3])
        return added + factor * moved + (moved - reference)

    def _slid(self, reference: Tensor, gain: Tensor, gaze: Tensor) -> Tensor:
        """The reference moved along the gaze where `gain` [B, 1, h, w] is not 0: this keeps the texture of the iris."""
        assert self.slide is not None
        height, width = 4 * self.grid[0], 4 * self.grid[1]
        step = gaze * torch.tensor([self.slide[0] / width, self.slide[1] / height], device=gaze.device)
        coarse = -gain[:, 0, :, :, None] * step[:, None, None, :]
        fine = -F.interpolate(gain, scale_factor=2.0, mode="bilinear", align_corners=False)[:, 0, :, :, None] * step[:, None, None, :]
        reference = reference.expand(len(gain), -1, -1, -1)
        device, sampled = gaze.device, {"padding_mode": "border", "align_corners": False}
        luma = F.grid_sample(F.pixel_shuffle(reference[:, :4], 2), fine + _centres(2 * height, 2 * width, device), **sampled)
        chroma = F.grid_sample(reference[:, 4:], coarse + _centres(height, width, device), **sampled)
        return torch.cat([F.pixel_unshuffle(luma, 2), chroma], 1)

    def forward(self, reference: Tensor, numbers: Tensor) -> Tensor:
        """reference [A, 6, h, w], numbers [A, n, k] -> patches [A * n, 6, h, w]."""
        count = numbers.shape[1]
        prepared = (part.repeat_interleave(count, 0) for part in self.prepare(reference))
        return reference.repeat_interleave(count, 0) + self.residual(numbers.flatten(0, 1), *prepared)


class FlowNet(nn.Module):
    """Turns a reference picture into flow fields once, and a pose into their blend for every frame."""

    def __init__(self, size: FlowNetSize, pose_numbers: int) -> None:
        super().__init__()
        width = size.width
        self.coarse, self.size, self.fields = size.size, size.final_size, size.fields
        self.shrink = 128 // size.size
        inputs = self.shrink**2 * PACKED + 5
        self.enter = nn.Sequential(_conv(inputs, width), nn.SiLU(), _conv(width, width))
        self.down = nn.ModuleList(
            nn.Sequential(nn.SiLU(), _conv(a, b, stride=2), nn.SiLU(), _conv(b, b))
            for a, b in ((width, 2 * width), (2 * width, 3 * width), (3 * width, 3 * width))
        )
        self.wide = nn.Sequential(nn.SiLU(), _conv(3 * width, 3 * width, 5))
        self.up = nn.ModuleList(
            nn.Sequential(nn.SiLU(), _conv(a, b), nn.SiLU(), _conv(b, b))
            for a, b in ((6 * width, 2 * width), (4 * width, width), (2 * width, width))
        )
        self.leave = _conv(width, 2 * size.fields)
        self.leave.weight.data *= 0.1
        self.refine: nn.Sequential | None = None
        if size.refine:
            details = (128 // size.final_size) ** 2 * PACKED
            self.refine = nn.Sequential(_conv(width + details, size.refine), nn.SiLU(), _conv(size.refine, 2 * size.fields))
            # starts as plain enlargement, so that a second pass can be added to a trained network
            nn.init.zeros_(self.refine[2].weight)
            nn.init.zeros_(self.refine[2].bias)
        self.pose = nn.Sequential(nn.Linear(pose_numbers, 48), nn.SiLU(), nn.Linear(48, size.fields - pose_numbers))

    def flow_fields(self, picture: Tensor, landmarks: Tensor) -> Tensor:
        """picture [A, 6, 128, 128], landmarks [A, 3, 2] in pixels of 256 -> fields [A, K, 2, s, s]."""
        x = self.enter(torch.cat([F.pixel_unshuffle(picture, self.shrink), self._places(landmarks)], 1))
        kept = []
        for down in self.down:
            kept.append(x)
            x = down(x)
        x = x + self.wide(x)
        for i, up in enumerate(self.up):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            skip = kept[-1 - i]
            x = up(torch.cat([x, skip], 1)) + skip if i == 2 else up(torch.cat([x, skip], 1))
        x = F.silu(x)
        fields = self.leave(x)
        if self.refine is not None:
            details = F.pixel_unshuffle(picture, 128 // self.size)
            larger = F.interpolate(torch.cat([x, fields], 1), scale_factor=2.0, mode="bilinear", align_corners=False)
            x, fields = larger[:, : x.shape[1]], larger[:, x.shape[1] :]
            fields = fields + self.refine(torch.cat([x, details], 1))
        return fields.view(-1, self.fields, 2, self.size, self.size)

    def _places(self, landmarks: Tensor) -> Tensor:
        """Where the landmarks are: three bumps and two coordinates of the face, [A, 5, s, s]."""
        steps = (torch.arange(self.coarse, device=landmarks.device) + 0.5) * (256 / self.coarse)
        y, x = steps[:, None], steps[None, :]
        eyes = landmarks[:, 1:].mean(1)
        span = (landmarks[:, 2, 0] - landmarks[:, 1, 0])[:, None, None].clamp(min=8)
        bumps = [
            torch.exp(-((x - landmarks[:, i, 0, None, None]) ** 2 + (y - landmarks[:, i, 1, None, None]) ** 2) / 512)
            for i in range(3)
        ]
        across = ((x - eyes[:, 0, None, None]) / span).expand(-1, self.coarse, -1)
        along = ((y - eyes[:, 1, None, None]) / span).expand(-1, -1, self.coarse)
        return torch.stack([*bumps, across * 0.5, along * 0.5], 1)

    def blend(self, pose: Tensor) -> Tensor:
        """pose [B, 7] -> weights of the fields [B, K]; all zero for the neutral pose, so that it is never warped."""
        bent = self.pose(pose) - self.pose(torch.zeros_like(pose[:1]))
        return torch.cat([pose, bent], 1)

    def forward(self, picture: Tensor, landmarks: Tensor, pose: Tensor) -> Tensor:
        """pose [A * n, 7], n poses per picture -> flow [A * n, 2, s, s] in grid_sample units."""
        weights = self.blend(pose).view(len(picture), -1, self.fields)
        flow = weights @ self.flow_fields(picture, landmarks).flatten(2)
        return flow.view(-1, 2, self.size, self.size) * 0.1
