"""Trains or evaluates the plain VAE: python3 -m talkmesh_nano.baselines.train_plain_vae --out DIR [--cpu-seconds S] [--resume] [--evaluate]; needs no other data.

Draws clips of training avatars once (clips.npz), trains on crops for a given CPU time, and writes checkpoint_vae.pt and curve_vae.csv.
`--resume` goes on with more CPU time. `--evaluate` measures the result by the decoder's gate on unseen avatars and prints its cost.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..decoder.config import StageTraining
from ..decoder.data import HELD_OUT_SEED, TRAIN_SEED
from ..decoder.pixels import pack, to_float, to_rgb
from ..decoder.train import Trainer
from ..evaluate.decoder import evaluation_track, gate_table, measure
from ..motion.rig import TEMPORAL
from ..render.avatar import Avatar
from ..render.avatars import random_spec
from ..runs.device import add_device, require
from .linear import patches, principal
from .plain_vae import PlainVae

FRAMES = 2 * TEMPORAL
"""Frames of a training clip."""
CROP = 64
"""Side of a crop in packed pixels."""
SEED = 3
UNSEEN = 4
"""The last avatars of the cache, which are held out from training."""


def draw_clips(path: Path, avatars: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Packed clips [avatars, frames, 6, 128, 128] and landmarks [avatars, 3, 2] in packed pixels, drawn once."""
    if not path.exists():
        drawn = [Avatar(random_spec(TRAIN_SEED + i)) for i in range(avatars)]
        clips = [np.stack([pack(avatar.draw(row)) for row in evaluation_track(5000 + i, frames)]) for i, avatar in enumerate(drawn)]
        np.savez(path, clips=np.stack(clips), landmarks=np.stack([avatar.landmarks for avatar in drawn]) / 2)
    with np.load(path) as saved:
        return saved["clips"], saved["landmarks"]


class Clips:
    """Crops of clips and the weight of each pixel: mouth and eyes four times as much."""

    def __init__(self, clips: np.ndarray, landmarks: np.ndarray) -> None:
        self.clips, self.landmarks = clips, landmarks
        self.weights = np.ones((len(clips), 128, 128), np.float32)
        for weight, points in zip(self.weights, landmarks):
            for (x, y), (across, above, below) in zip(points, ((22, 13, 21), (12, 14, 10), (12, 14, 10))):
                weight[max(0, int(y) - above) : int(y) + below, max(0, int(x) - across) : int(x) + across] = 4

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Frames [count, 8, 6, 64, 64] and weights [count, 1, 1, 64, 64]; every other crop is around mouth or eyes."""
        frames, weights = [], []
        for i in range(count):
            row, first = rng.integers(len(self.clips)), rng.integers(self.clips.shape[1] - FRAMES + 1)
            place = rng.integers(0, 129 - CROP, 2)
            if i % 2:
                middle = self.landmarks[row, rng.integers(3)] + rng.uniform(-14, 14, 2)
                place = (middle - CROP / 2).clip(0, 128 - CROP).astype(int)
            part = (slice(place[1], place[1] + CROP), slice(place[0], place[0] + CROP))
            frames.append(self.clips[row, first : first + FRAMES][(..., *part)])
            weights.append(self.weights[row][part])
        return to_float(torch.from_numpy(np.stack(frames))), torch.from_numpy(np.stack(weights))[:, None, None]


def picture_loss(painted: Tensor, frames: Tensor, weights: Tensor) -> Tensor:
    """Weighted L1 of pixels and of their differences across, down and from frame to frame."""
    error = painted - frames
    loss = (error.abs() * weights).mean()
    loss = loss + (error.diff(dim=-1).abs() * weights[..., 1:]).mean() + (error.diff(dim=-2).abs() * weights[..., 1:, :]).mean()
    return loss + 0.5 * (error.diff(dim=1).abs() * weights).mean()


class VaeStage:
    """The VAE on crops of clips, of which the last avatars are held out. Clips stay on the CPU; batches go to the device."""

    def __init__(self, clips: np.ndarray, landmarks: np.ndarray, device: torch.device, batch: int = 8) -> None:
        self.training = StageTraining(10**9, avatars_per_step=batch, rate=1e-3, warmup_steps=40, cooldown=0.4, average=0.99, report_every=50)
        self.device, self.random = device, np.random.default_rng(5)
        self.seen, self.unseen = Clips(clips[:-UNSEEN], landmarks[:-UNSEEN]), Clips(clips[-UNSEEN:], landmarks[-UNSEEN:])
        self.net = PlainVae()
        self.net.start_linear(*principal(patches(clip) for clip in self.seen.clips))
        self.net.to(device)

    def loss(self) -> Tensor:
        frames, weights = (part.to(self.device) for part in self.seen.draw(self.training.avatars_per_step, self.random))
        painted, divergence = self.net(frames)
        return picture_loss(painted, frames, weights) + 1e-4 * divergence

    def evaluate(self) -> dict[str, float]:
        """PSNR in dB over packed pixels of whole frames of avatars that are not trained on, and the latents' divergence there."""
        frames = to_float(torch.from_numpy(self.unseen.clips[:, :FRAMES]).to(self.device))
        painted, divergence = self.net(frames)
        error = self.net.decoder(self.net.encoder(frames)[0]).clamp(-1, 1) - frames
        return {"unseen_psnr": -10 * math.log10(error.square().mean().item() / 4), "nats": divergence.item()}


def through(net: PlainVae, avatar: Avatar, rig: np.ndarray) -> np.ndarray:
    """Drawn frames, coded and decoded (no sampling): uint8 [n, 256, 256, 3]."""
    frames = to_float(torch.from_numpy(np.stack([pack(avatar.draw(row)) for row in rig])))
    with torch.no_grad():
        painted = net.decoder(net.encoder(frames[None])[0])[0]
    levels = ((painted + 1) * 127.5).round().clamp(0, 255)
    return (to_rgb(levels / 127.5 - 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def cpu_ms(net: PlainVae, repeats: int = 20) -> float:
    """CPU time of painting 12 frames, the smallest of some, in milliseconds."""
    latents, times = torch.randn(1, 3, 32, 16, 16), []
    with torch.no_grad():
        for _ in range(repeats):
            started = time.process_time()
            net.decoder(latents)
            times.append(1000 * (time.process_time() - started))
    return min(times)


def vae_trainer(out: Path, clips: np.ndarray, landmarks: np.ndarray, device: torch.device, batch: int = 8) -> Trainer:
    torch.manual_seed(SEED)
    return Trainer(VaeStage(clips, landmarks, device, batch), out / "checkpoint_vae.pt", SEED)


def trained(out: Path) -> PlainVae:
    net = PlainVae()
    net.load_state_dict(torch.load(out / "checkpoint_vae.pt", map_location="cpu")["average"])
    return net


def evaluate(net: PlainVae, avatars: int) -> None:
    each = {}
    for i in range(avatars):
        spec = random_spec(HELD_OUT_SEED + i)
        each[spec.id] = measure(partial(through, net), Avatar(spec), 40 + i)[0]
    each["mean"] = {name: float(np.mean([scores[name] for scores in each.values() if name in scores])) for name in next(iter(each.values()))}
    print(gate_table(each))
    print({"decoder_cpu_ms_of_12_frames": round(cpu_ms(net), 1)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--cpu-seconds", type=float, default=540, help="CPU time of the process to train for, all resumed runs together")
    parser.add_argument("--avatars", type=int, default=6, help="how many unseen avatars evaluate it")
    parser.add_argument("--train-avatars", type=int, default=64)
    parser.add_argument("--frames", type=int, default=24, help="drawn frames of each")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--evaluate", action="store_true")
    add_device(parser)
    args = parser.parse_args()
    torch.set_num_threads(1)
    out, device = Path(args.out), require(args.device)
    out.mkdir(parents=True, exist_ok=True)
    if args.evaluate:
        evaluate(trained(out), args.avatars)
        return
    trainer = vae_trainer(out, *draw_clips(out / "clips.npz", args.train_avatars, args.frames), device)
    if args.resume:
        trainer.resume()
    trainer.run(args.cpu_seconds)


if __name__ == "__main__":
    main()
