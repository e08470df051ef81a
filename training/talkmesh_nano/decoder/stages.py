"""What each part of the decoder is trained on and how it is evaluated: patches by direct loss, flow by the renderer's truth."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..render.avatars import DESIGNED, designed
from ..render.pose import layer_sources, sample_layers, true_flow
from .config import DecoderConfig
from .data import POSE_NUMBERS, columns, random_pose, read_shards
from .net import FlowNet, PatchNet
from .pixels import luma, to_float, to_rgb

MOUTH_CENTRE = torch.tensor([0.35, 0.5, 0.3, 0.5, 0.35])
MOUTH_SPREAD = torch.tensor([0.32, 0.25, 0.32, 0.3, 0.25])
EYE_CENTRE = torch.tensor([0.35, 0.0, 0.0, 0.0, 0.3, 0.0])
EYE_SPREAD = torch.tensor([0.4, 0.5, 0.5, 0.45, 0.2, 1.0])
DESIGNED_SHARE = 0.25
LEAST_SWING = 2.0
"""Squared change, summed over a packed patch of -1..1, below which a mouth counts as one without a width."""
POSE_INPUT_SCALE = torch.tensor([0.6, 0.6, 0.6, 1.0, 1.0, 1.0, 0.5])


def centred(numbers: Tensor, stage: str) -> Tensor:
    """Rig numbers at the scale the patch networks expect."""
    centre, spread = (MOUTH_CENTRE, MOUTH_SPREAD) if stage == "mouth" else (EYE_CENTRE, EYE_SPREAD)
    return (numbers - centre.to(numbers.device)) / spread.to(numbers.device)


def pose_input(rig: Tensor) -> Tensor:
    """rig [B, 15] -> the flow network's pose [B, 7], zero for the neutral rig."""
    return rig[:, columns(POSE_NUMBERS)] / POSE_INPUT_SCALE


def gradients(picture: Tensor) -> tuple[Tensor, Tensor]:
    return picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]


def picture_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 + half the L1 of luma gradients + squared error, on packed pictures without any mask."""
    (gx, gy), (tx, ty) = gradients(luma(output)), gradients(luma(target))
    edges = (gx - tx).abs().mean() + (gy - ty).abs().mean()
    colour = (output[:, 4:] - target[:, 4:]).abs().mean()
    return (output - target).abs().mean() + colour + 0.5 * edges + F.mse_loss(output, target)


def psnr(output: Tensor, target: Tensor) -> float:
    """Pooled over luma, in dB."""
    error = F.mse_loss(output[:, :4].clamp(-1, 1), target[:, :4])
    return float(-10 * torch.log10(error / 4 + 1e-12))


def pick_avatars(random: np.random.Generator, count: int, everyone: int, designed: int) -> np.ndarray:
    """Rows of random avatars; the designed ones, which come first and are shipped, are picked more often."""
    known = random.random(count) < DESIGNED_SHARE
    return np.where(known, random.integers(0, min(designed, everyone), count), random.integers(0, everyone, count))


def width_loss(error: Tensor, swing: Tensor) -> Tensor:
    """Errors [B, 6, h, w] -> [B], in shares of what the same avatar's mouth changes between narrowest and widest, swing [B, 6, h, w].

    Levels alone let dark lips on dark skin stay as wide as they are: they differ by few. This counts every avatar's width alike.
    """
    energy = swing.square().sum((1, 2, 3)).clamp(min=LEAST_SWING)
    return (error.abs() * swing).sum((1, 2, 3)) / energy


def swing_at(swing: Tensor, opening: Tensor) -> Tensor:
    """Swings [B, n, 6, h, w] of n openings from 0 to 1, levels -> that at opening [B], in the units of pictures of -1..1."""
    place = opening.clamp(0, 1) * (swing.shape[1] - 1)
    below = place.floor().clamp(max=swing.shape[1] - 2).long()
    rows, share = torch.arange(len(swing)), (place - below)[:, None, None, None]
    return (swing[rows, below] * (1 - share) + swing[rows, below + 1] * share) / 127.5


class Focus:
    """Gives some designed avatars a share of what is drawn, and half of that to narrow, nearly closed mouths."""

    def __init__(self, avatars: tuple[str, ...], share: float, numbers: Tensor) -> None:
        """`avatars` by id; numbers [A, n, 5] of the mouths of all, the designed ones first."""
        self.rows, self.share = [DESIGNED.index(designed(id)) for id in avatars], share
        opening, width, rounding = numbers[self.rows].numpy().transpose(2, 0, 1)[:3]
        narrow = (opening < 0.3) & (0.46 * width - 0.42 * rounding < 0.03)
        self.narrow = [np.flatnonzero(row) if row.any() else np.arange(len(row)) for row in narrow]

    def pick(self, random: np.random.Generator, avatars: np.ndarray, samples: np.ndarray) -> None:
        """Replace about `share` of the picked avatars [A], and half of the samples [A, n] of those that come in."""
        for place in np.flatnonzero(random.random(len(avatars)) < self.share):
            which = int(random.integers(len(self.rows)))
            avatars[place] = self.rows[which]
            chosen = random.random(samples.shape[1]) < 0.5
            samples[place, chosen] = random.choice(self.narrow[which], int(chosen.sum()))


class PatchStage:
    """Mouth or eye patches: many rigs of one avatar per reference. Data stays on the CPU; batches go to the device."""

    def __init__(self, config: DecoderConfig, name: str, device: torch.device) -> None:
        self.name, self.device = name, device
        mouth = name == "mouth"
        self.training = config.mouth if mouth else config.eyes
        self.net = PatchNet(config.mouth_net, config.mouth_patch) if mouth else PatchNet(config.eye_net, config.eye_patch)
        self.net.to(device)
        self.random = np.random.default_rng(config.seed)
        self.designed = len(DESIGNED) * (1 if mouth else 2)
        parts = ("reference", "patch", "numbers", *(("swing",) if mouth else ()))
        self.train, self.held_out = (self._tensors(config, parts, held_out) for held_out in (False, True))
        self.focus = Focus(tuple(self.training.focus), self.training.focus_share, self.train["numbers"]) if self.training.focus else None

    def _tensors(self, config: DecoderConfig, parts: tuple[str, ...], held_out: bool) -> dict[str, Tensor]:
        prefix = "mouth" if self.name == "mouth" else "eye"
        data = read_shards(config, tuple(f"{prefix}_{part}" for part in parts), held_out)
        arrays = {part: torch.from_numpy(data[f"{prefix}_{part}"]) for part in parts}
        return {part: array.flatten(0, 1) if prefix == "eye" else array for part, array in arrays.items()}

    def _picked(self, data: dict[str, Tensor], rows: Tensor, samples: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """For samples [A, n] of avatars [A], on the device: output and target [A n, 6, h, w], and for mouths their swing."""
        numbers = data["numbers"][rows[:, None], samples]
        target = to_float(data["patch"][rows[:, None], samples].flatten(0, 1).to(self.device))
        output = self.net(to_float(data["reference"][rows].to(self.device)), centred(numbers.to(self.device), self.name))
        if "swing" not in data:
            return output, target, None
        swing = data["swing"][rows].repeat_interleave(samples.shape[1], 0)
        return output, target, swing_at(swing, numbers[..., 0].flatten()).to(self.device)

    def loss(self) -> Tensor:
        count, samples = self.train["patch"].shape[:2]
        avatars = pick_avatars(self.random, self.training.avatars_per_step, count, self.designed)
        picked = self.random.integers(0, samples, (len(avatars), self.training.samples_per_avatar))
        if self.focus is not None:
            self.focus.pick(self.random, avatars, picked)
        output, target, swing = self._picked(self.train, torch.from_numpy(avatars), torch.from_numpy(picked))
        loss = picture_loss(output, target)
        return loss if swing is None else loss + self.training.width_weight * width_loss(output - target, swing).mean()

    def evaluate(self) -> dict[str, float]:
        """PSNR on unseen avatars beside that of the unchanged reference, dB; for mouths the width loss too."""
        count, samples = self.held_out["patch"].shape[:2]
        rows, picked = torch.arange(count), torch.arange(min(12, samples)).expand(count, -1)
        output, target, swing = self._picked(self.held_out, rows, picked)
        still = to_float(self.held_out["reference"].to(self.device)).repeat_interleave(picked.shape[1], 0)
        scores = {"psnr": psnr(output, target), "unchanged_psnr": psnr(still, target)}
        return scores if swing is None else {**scores, "width_loss": float(width_loss(output - target, swing).mean())}


class FlowStage:
    """Flow fields, measured against the true flow and by the picture they warp. Data stays on the CPU; batches go to the device."""

    def __init__(self, config: DecoderConfig, device: torch.device) -> None:
        self.training, self.device = config.flow, device
        self.net = FlowNet(config.flow_net, len(POSE_NUMBERS)).to(device)
        self.random = np.random.default_rng(config.seed)
        keys = ("picture", "landmarks", "geometry", "layers", "backdrop")
        self.train = self._tensors(read_shards(config, keys), keys)
        self.held_out = self._tensors(read_shards(config, keys, held_out=True), keys)

    @staticmethod
    def _tensors(data: dict[str, np.ndarray], keys: tuple[str, ...]) -> dict[str, Tensor]:
        return {key: torch.from_numpy(data[key]) for key in keys}

    def _compare(self, data: dict[str, Tensor], avatars: Tensor, rig: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For n poses of each of A avatars, rig [A * n, 15].

        Flow error per pixel [A * n, s, s] in pixels of 256, its weight, and the picture error [A * n, 3, 128, 128].
        """
        poses = len(rig) // len(avatars)
        rows, pose, rig = avatars.repeat_interleave(poses), pose_input(rig).to(self.device), rig.to(self.device)
        layers, backdrop = (data[key][rows].to(self.device).float() / 255 for key in ("layers", "backdrop"))
        geometry = data["geometry"][rows].to(self.device)
        truth, weight = true_flow(layers[:, :, 3], rig, geometry, self.net.size)
        picture = to_float(data["picture"][avatars].to(self.device))
        flow = self.net(picture, data["landmarks"][avatars].to(self.device), pose)
        away = (flow - truth).abs().sum(1) * 128
        target = posed_picture(layers, backdrop, rig, geometry)
        still = F.avg_pool2d(to_rgb(picture), 2).repeat_interleave(poses, 0)
        return away, weight, warp(still, flow) - target

    def loss(self) -> Tensor:
        count, poses = self.training.avatars_per_step, self.training.samples_per_avatar
        avatars = torch.from_numpy(pick_avatars(self.random, count, len(self.train["picture"]), len(DESIGNED)))
        rig = torch.from_numpy(random_pose(self.random, count * poses))
        away, weight, error = self._compare(self.train, avatars, rig)
        error = error.abs() * self._importance(self.train["landmarks"][avatars].to(self.device)).repeat_interleave(poses, 0)
        return 0.15 * (away * weight).mean() + 4 * error.mean()

    def _importance(self, landmarks: Tensor) -> Tensor:
        """Weight of picture errors [A, 1, 128, 128]: more in the box around the mouth in which it is evaluated."""
        return 1 + (self.training.mouth_weight - 1) * self._mouth_box(landmarks).float()

    @staticmethod
    def _mouth_box(landmarks: Tensor) -> Tensor:
        """Whether a pixel of the half-size picture lies in the box in which mouths are evaluated, [A, 1, 128, 128]."""
        place = torch.arange(128, device=landmarks.device) * 2 + 1
        x, y = (place[None] - landmarks[:, 0, :1]), (place[None] - landmarks[:, 0, 1:])
        return (x.abs() < 44)[:, None, None, :] & ((y > -26) & (y < 42))[:, None, :, None]

    def evaluate(self) -> dict[str, float]:
        random = np.random.default_rng(5)
        rows = torch.arange(len(self.held_out["picture"]))
        rig = torch.from_numpy(random_pose(random, len(rows)))
        away, weight, error = self._compare(self.held_out, rows, rig)
        pixels = float((away * weight).sum() / weight.sum())
        inside = self._mouth_box(self.held_out["landmarks"].to(self.device))
        mouth = float(-10 * torch.log10(error.square()[inside.expand_as(error)].mean()))
        return {"flow_error_px": pixels, "psnr": float(-10 * torch.log10(error.square().mean())), "mouth_psnr": mouth}


def posed_picture(layers: Tensor, backdrop: Tensor, rig: Tensor, geometry: Tensor) -> Tensor:
    """Half-resolution RGB [B, 3, 128, 128] of premultiplied neutral layers moved to a pose."""
    warped = sample_layers(layers, layer_sources(rig, geometry, backdrop.shape[-1]))
    picture = backdrop
    for layer in range(warped.shape[1]):
        picture = warped[:, layer, :3] + picture * (1 - warped[:, layer, 3:])
    return picture


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """picture [B, c, h, w] sampled at each pixel plus flow [B, 2, s, s] (grid_sample units)."""
    size = picture.shape[-1]
    fine = F.interpolate(flow, size=(size, size), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
    steps = (torch.arange(size, device=picture.device) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return F.grid_sample(picture, fine + torch.stack([x, y], -1), align_corners=False, padding_mode="border")
