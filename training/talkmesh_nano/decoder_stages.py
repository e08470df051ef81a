"""What each part of the decoder is trained on and how it is judged: patches by direct loss, flow by the renderer's truth."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .avatars import DESIGNED
from .decoder_config import DecoderConfig
from .decoder_data import POSE_NUMBERS, columns, random_pose, read_shards
from .decoder_net import FlowNet, PatchNet
from .decoder_pixels import luma, to_float, to_rgb
from .render_pose import layer_sources, sample_layers, true_flow

MOUTH_CENTRE = torch.tensor([0.35, 0.5, 0.3, 0.5, 0.35])
MOUTH_SPREAD = torch.tensor([0.32, 0.25, 0.32, 0.3, 0.25])
EYE_CENTRE = torch.tensor([0.35, 0.0, 0.0, 0.0, 0.3, 0.0])
EYE_SPREAD = torch.tensor([0.4, 0.5, 0.5, 0.45, 0.2, 1.0])
DESIGNED_SHARE = 0.25
POSE_INPUT_SCALE = torch.tensor([0.6, 0.6, 0.6, 1.0, 1.0, 1.0, 0.5])


def centred(numbers: Tensor, stage: str) -> Tensor:
    """Rig numbers at the scale the patch networks expect."""
    return (numbers - MOUTH_CENTRE) / MOUTH_SPREAD if stage == "mouth" else (numbers - EYE_CENTRE) / EYE_SPREAD


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


class PatchStage:
    """Mouth or eye patches: many rigs of one avatar per reference."""

    def __init__(self, config: DecoderConfig, name: str) -> None:
        self.name = name
        mouth = name == "mouth"
        self.training = config.mouth if mouth else config.eyes
        self.net = PatchNet(config.mouth_net, config.mouth_patch) if mouth else PatchNet(config.eye_net, config.eye_patch)
        self.random = np.random.default_rng(config.seed)
        prefix = "mouth" if mouth else "eye"
        keys = tuple(f"{prefix}_{part}" for part in ("reference", "patch", "numbers"))
        self.designed = len(DESIGNED) * (1 if mouth else 2)
        self.train = self._tensors(read_shards(config, keys), keys)
        self.held_out = self._tensors(read_shards(config, keys, held_out=True), keys)

    def _tensors(self, data: dict[str, np.ndarray], keys: tuple[str, ...]) -> list[Tensor]:
        arrays = [torch.from_numpy(data[key]) for key in keys]
        if self.name == "eyes":
            arrays = [array.flatten(0, 1) for array in arrays]
        return arrays

    def loss(self) -> Tensor:
        reference, patch, numbers = self.train
        avatars = pick_avatars(self.random, self.training.avatars_per_step, len(reference), self.designed)
        samples = self.random.integers(0, patch.shape[1], (len(avatars), self.training.samples_per_avatar))
        rows = torch.from_numpy(avatars)
        target = to_float(patch[rows[:, None], torch.from_numpy(samples)].flatten(0, 1))
        given = centred(numbers[rows[:, None], torch.from_numpy(samples)], self.name)
        output = self.net(to_float(reference[rows]), given)
        return picture_loss(output, target)

    def evaluate(self) -> dict[str, float]:
        """PSNR on unseen avatars beside that of the unchanged reference, dB."""
        reference, patch, numbers = self.held_out
        count = min(12, patch.shape[1])
        target = to_float(patch[:, :count].flatten(0, 1))
        still = to_float(reference)
        output = self.net(still, centred(numbers[:, :count], self.name))
        return {"psnr": psnr(output, target), "unchanged_psnr": psnr(still.repeat_interleave(count, 0), target)}


class FlowStage:
    """Flow fields, judged by the true flow and by the picture they warp."""

    def __init__(self, config: DecoderConfig) -> None:
        self.training = config.flow
        self.net = FlowNet(config.flow_net, len(POSE_NUMBERS))
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
        rows = avatars.repeat_interleave(len(rig) // len(avatars))
        layers, geometry = data["layers"][rows].float() / 255, data["geometry"][rows]
        truth, weight = true_flow(layers[:, :, 3], rig, geometry, self.net.size)
        picture = to_float(data["picture"][avatars])
        flow = self.net(picture, data["landmarks"][avatars], pose_input(rig))
        away = (flow - truth).abs().sum(1) * 128
        target = posed_picture(layers, data["backdrop"][rows].float() / 255, rig, geometry)
        still = F.avg_pool2d(to_rgb(picture), 2).repeat_interleave(len(rig) // len(avatars), 0)
        return away, weight, warp(still, flow) - target

    def loss(self) -> Tensor:
        count, poses = self.training.avatars_per_step, self.training.samples_per_avatar
        avatars = torch.from_numpy(pick_avatars(self.random, count, len(self.train["picture"]), len(DESIGNED)))
        rig = torch.from_numpy(random_pose(self.random, count * poses))
        away, weight, error = self._compare(self.train, avatars, rig)
        error = error.abs() * self._importance(self.train["landmarks"][avatars]).repeat_interleave(poses, 0)
        return 0.15 * (away * weight).mean() + 4 * error.mean()

    def _importance(self, landmarks: Tensor) -> Tensor:
        """Weight of picture errors [A, 1, 128, 128]: more in the box around the mouth where it is judged."""
        return 1 + (self.training.mouth_weight - 1) * self._mouth_box(landmarks).float()

    @staticmethod
    def _mouth_box(landmarks: Tensor) -> Tensor:
        """Whether a pixel of the half-size picture lies in the box that mouths are judged in, [A, 1, 128, 128]."""
        place = torch.arange(128) * 2 + 1
        x, y = (place[None] - landmarks[:, 0, :1]), (place[None] - landmarks[:, 0, 1:])
        return (x.abs() < 44)[:, None, None, :] & ((y > -26) & (y < 42))[:, None, :, None]

    def evaluate(self) -> dict[str, float]:
        random = np.random.default_rng(5)
        rows = torch.arange(len(self.held_out["picture"]))
        rig = torch.from_numpy(random_pose(random, len(rows)))
        away, weight, error = self._compare(self.held_out, rows, rig)
        pixels = float((away * weight).sum() / weight.sum())
        inside = self._mouth_box(self.held_out["landmarks"])
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
    steps = (torch.arange(size) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return F.grid_sample(picture, fine + torch.stack([x, y], -1), align_corners=False, padding_mode="border")
