"""Trains or judges the plain VAE: python3 -m talkmesh_nano.train_plain_vae --out DIR [--seconds S] [--judge]; needs no other data.

Draws clips of training avatars once (clips.npy), trains on crops for a given time, and writes plain_vae.pt and plain_vae.csv.
`--judge` puts the result through the decoder's gate on unseen avatars and prints its cost beside the table.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .avatars import random_spec
from .decoder_data import HELD_OUT_SEED, TRAIN_SEED
from .decoder_pixels import pack, to_float, to_rgb
from .eval_decoder import evaluation_track, gate_table, measure
from .eval_linear import patches, principal
from .plain_vae import PlainVae
from .render import Avatar
from .rig import TEMPORAL
from .train_decoder import Average

FRAMES = 2 * TEMPORAL
"""Frames of a training clip."""
CROP = 64
"""Side of a crop in packed pixels."""
UNSEEN = 4
"""The last avatars of the cache, which only watch the training."""


def draw_clips(path: Path, avatars: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Packed clips [avatars, frames, 6, 128, 128] and landmarks [avatars, 3, 2] in packed pixels, drawn once."""
    if not path.exists():
        drawn = [Avatar(random_spec(TRAIN_SEED + i)) for i in range(avatars)]
        clips = [np.stack([pack(avatar.draw(row)) for row in evaluation_track(5000 + i, frames)]) for i, avatar in enumerate(drawn)]
        np.savez(path, clips=np.stack(clips), landmarks=np.stack([avatar.landmarks for avatar in drawn]) / 2)
    with np.load(path) as saved:
        return saved["clips"], saved["landmarks"]


class Clips:
    """Crops of clips and what each pixel weighs: mouth and eyes four times as much."""

    def __init__(self, clips: np.ndarray, landmarks: np.ndarray, seed: int) -> None:
        self.clips, self.landmarks, self.rng = clips, landmarks, np.random.default_rng(seed)
        self.weights = np.ones((len(clips), 128, 128), np.float32)
        for weight, points in zip(self.weights, landmarks):
            for (x, y), (across, above, below) in zip(points, ((22, 13, 21), (12, 14, 10), (12, 14, 10))):
                weight[max(0, int(y) - above) : int(y) + below, max(0, int(x) - across) : int(x) + across] = 4

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """Frames [count, 8, 6, 64, 64] and weights [count, 1, 1, 64, 64]; every other crop is around mouth or eyes."""
        frames, weights = [], []
        for i in range(count):
            row, first = self.rng.integers(len(self.clips)), self.rng.integers(self.clips.shape[1] - FRAMES + 1)
            place = self.rng.integers(0, 129 - CROP, 2)
            if i % 2:
                middle = self.landmarks[row, self.rng.integers(3)] + self.rng.uniform(-14, 14, 2)
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


def watch(net: PlainVae, clips: Clips) -> float:
    """PSNR in dB over packed pixels of whole frames of avatars that are not trained on."""
    with torch.no_grad():
        frames = to_float(torch.from_numpy(clips.clips[:, :FRAMES]))
        error = net.decoder(net.encoder(frames)[0]).clamp(-1, 1) - frames
    return -10 * math.log10(error.square().mean().item() / 4)


def train(out: Path, seconds: float, avatars: int, frames: int, batch: int = 8, every: int = 50) -> None:
    torch.manual_seed(3)
    clips, landmarks = draw_clips(out / "clips.npz", avatars, frames)
    seen, unseen = Clips(clips[:-UNSEEN], landmarks[:-UNSEEN], 5), Clips(clips[-UNSEEN:], landmarks[-UNSEEN:], 6)
    net = PlainVae()
    net.start_linear(*principal(patches(clip) for clip in seen.clips))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    average, curve, losses = Average(net, 0.99), [], []
    print({"step": 0, "unseen": round(watch(net, unseen), 2)}, flush=True)
    started, step, done = time.time(), 0, 0.0
    while done < 1:
        done = min(1.0, (time.time() - started) / seconds)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1, (step + 1) / 40) * max(0.02, min(1.0, (1 - done) / 0.4))
        given, weights = seen.draw(batch)
        painted, divergence = net(given)
        loss = picture_loss(painted, given, weights)
        optimizer.zero_grad(set_to_none=True)
        (loss + 1e-4 * divergence).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        average.update(net)
        step += 1
        losses.append((loss.item(), divergence.item()))
        if step % every == 0 or done == 1:
            own = {name: value.clone() for name, value in net.state_dict().items()}
            net.load_state_dict(average.weights)
            loss_mean, divergence_mean = np.mean(losses, 0)
            row = {"step": step, "seconds": round(time.time() - started, 1), "cpu_seconds": round(time.process_time(), 1), "loss": round(loss_mean, 4), "nats": round(divergence_mean, 3), "unseen": round(watch(net, unseen), 2)}
            net.load_state_dict(own)
            curve.append(row)
            losses = []
            print(row, flush=True)
            torch.save({"net": average.weights, "step": step}, out / "plain_vae.pt")
            with (out / "plain_vae.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
                writer.writerows(curve)


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


def judge(net: PlainVae, avatars: int) -> None:
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
    parser.add_argument("--seconds", type=float, default=540)
    parser.add_argument("--avatars", type=int, default=6, help="how many unseen avatars judge it")
    parser.add_argument("--train-avatars", type=int, default=64)
    parser.add_argument("--frames", type=int, default=24, help="drawn frames of each")
    parser.add_argument("--judge", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    if not args.judge:
        train(out, args.seconds, args.train_avatars, args.frames)
        return
    net = PlainVae()
    net.load_state_dict(torch.load(out / "plain_vae.pt")["net"])
    judge(net, args.avatars)


if __name__ == "__main__":
    main()
