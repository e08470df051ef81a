"""Trains the pixel encoder: python3 -m talkmesh_nano.pixel_encoder.train --config FILE --out DIR [--steps N] [--seconds S] [--resume].

Pictures are put together from the decoder's shards: mouth and eye patches on the head layer, then a pose; half size, a few
milliseconds each. Writes encoder.pt and encoder.csv. `--export FILE` instead evaluates encoder.pt on drawn clips of unseen avatars,
prints how its latents correlate with the rig's, and writes the ONNX graph.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..decoder.config import DecoderConfig, load
from ..decoder.data import EYE_NUMBERS, HELD_OUT_SEED, MOUTH_NUMBERS, columns, patch_box, shard_path, shard_specs
from ..decoder.export import LEAST_HALVED, build_graphs
from ..decoder.pixels import BT601, OFFSET, pack, to_float, to_rgb
from ..decoder.stages import posed_picture
from ..decoder.train import CPU
from ..evaluate.decoder import crop, decode_track, evaluation_track, psnr
from ..export.onnx_files import write_onnx
from ..motion.rig import HIGH, INDEX, LOW, NEUTRAL, encode_rig
from ..render.avatar import Avatar
from ..render.avatars import DESIGNED, random_spec
from ..render.pose import MARGIN
from ..runs.device import add_device, require
from .net import FRAMES, POSE, STATE_SHAPE, EncoderGraph, RigReader, best_steady

KEYS = ("picture", "landmarks", "geometry", "layers", "backdrop", "mouth_patch", "mouth_numbers", "eye_patch", "eye_numbers")


def shard_jitter(config: DecoderConfig, shard: int, designed: int) -> np.ndarray:
    """By how much each avatar's patches are off its landmarks, [avatars, 2 (mouth, eyes), 2]: the data's own first draw."""
    shakes = [0.0 if shard < 0 or (shard == 0 and i < designed) else 2.4 for i in range(len(shard_specs(config, shard)))]
    return np.stack([np.random.default_rng(config.seed + 7919 * shard + i).uniform(-shake, shake, (2, 2)) for i, shake in enumerate(shakes)])


def natural_pose(rng: np.random.Generator, count: int) -> np.ndarray:
    """Poses [count, 6] distributed as in the motion tracks, where shifts nearly follow from the turns of the head."""
    yaw, pitch, roll = rng.normal(size=(3, count)) * rng.uniform(0.2, 0.6, (3, count))
    breath = rng.uniform(-0.85, 0.85, count)
    shift_x, shift_y = 0.7 * yaw + 0.8 * roll, 0.7 * pitch + 0.35 * breath
    return np.stack([yaw, pitch, roll, shift_x, shift_y, breath], 1).clip(-1.4, 1.4).astype(np.float32)


class Pictures:
    """Draws half-size posed pictures of the avatars of some shards."""

    def __init__(self, config: DecoderConfig, shards: list[int], seed: int) -> None:
        parts = []
        for shard in shards:
            data = np.load(shard_path(config, shard))
            parts.append({**{key: data[key] for key in KEYS}, "jitter": shard_jitter(config, shard, len(DESIGNED))})
        self.data = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        self.config, self.rng = config, np.random.default_rng(seed)
        self.matrix = torch.tensor(BT601, dtype=torch.float32)
        self.offset = torch.tensor(OFFSET, dtype=torch.float32)[:, None, None]

    def _paste(self, head: Tensor, patch: np.ndarray, landmark: np.ndarray, size: object) -> None:
        left, top, *_ = patch_box(float(landmark[0]), float(landmark[1]), size)  # type: ignore[arg-type]
        rgb = F.avg_pool2d(to_rgb(to_float(torch.from_numpy(patch)[None])), 2)[0]
        y, x = (top + MARGIN) // 2, (left + MARGIN) // 2
        part = head[:, y : y + rgb.shape[1], x : x + rgb.shape[2]]
        solid = (part[3:] > 0.99).float()
        part[:3] = part[:3] * (1 - solid) + rgb * solid

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """pictures and references [count, 3, 128, 128], landmarks [count, 3, 2], rig [count, 15]."""
        rows = self.rng.integers(0, len(self.data["picture"]), count)
        rig = np.tile(NEUTRAL, (count, 1))
        rig[:, POSE] = natural_pose(self.rng, count)
        layers = torch.from_numpy(self.data["layers"][rows]).float() / 255
        for i, row in enumerate(rows):
            which = int(self.rng.integers(0, self.data["mouth_patch"].shape[1]))
            rig[i, columns(MOUTH_NUMBERS)] = self.data["mouth_numbers"][row, which]
            self._paste(layers[i, 2], self.data["mouth_patch"][row, which], self.data["landmarks"][row, 0] + self.data["jitter"][row, 0], self.config.mouth_patch)
            which = int(self.rng.integers(0, self.data["eye_patch"].shape[2]))
            rig[i, columns(EYE_NUMBERS[:4])] = self.data["eye_numbers"][row, 0, which, :4]
            left = self.data["eye_patch"][row, 0, which]
            right, numbers = self._other_eye(row, rig[i])
            # both eyes are read and the mean is taken, so the mean is the truth
            rig[i, columns(EYE_NUMBERS[:4])] = (rig[i, columns(EYE_NUMBERS[:4])] + numbers) / 2
            for side, patch in ((0, left), (1, right)):
                self._paste(layers[i, 2], patch, self.data["landmarks"][row, 1 + side] + self.data["jitter"][row, 1], self.config.eye_patch)
        landmarks, geometry = (torch.from_numpy(self.data[key][rows]) for key in ("landmarks", "geometry"))
        truth = torch.from_numpy(rig.astype(np.float32))
        picture = posed_picture(layers, torch.from_numpy(self.data["backdrop"][rows]).float() / 255, truth, geometry)
        packed = to_float(torch.from_numpy(self.data["picture"][rows]))
        reference = torch.cat([packed[:, :4].mean(1, keepdim=True), packed[:, 4:]], 1)
        yuv = (torch.einsum("ij,bjhw->bihw", self.matrix, picture * 255) + self.offset) / 127.5 - 1
        return yuv, reference, landmarks, truth

    def _other_eye(self, row: int, rig: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The right eye's patch nearest to the left one's numbers, mirrored back to how it appears, and its own numbers."""
        numbers = self.data["eye_numbers"][row, 1]
        wanted = rig[columns(EYE_NUMBERS[:4])] * (1, -1, 1, 1)
        nearest = int(np.abs((numbers[:, :4] - wanted) * (2, 1, 1, 0.5)).sum(1).argmin())
        patch = np.ascontiguousarray(self.data["eye_patch"][row, 1, nearest][[1, 0, 3, 2, 4, 5], :, ::-1])
        return patch, numbers[nearest, :4] * (1, -1, 1, 1)


def correlations(read: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.array([np.corrcoef(read[:, i], truth[:, i])[0, 1] for i in range(truth.shape[1])])


class Trainer:
    """Pictures are drawn on the CPU; batches go to the device."""

    def __init__(self, config: DecoderConfig, out: Path, shards: list[int], batch: int, steps: int, device: torch.device = CPU) -> None:
        torch.manual_seed(config.seed)
        self.out, self.batch, self.steps, self.step, self.device = out, batch, steps, 0, device
        self.pictures = Pictures(config, shards, config.seed)
        self.held_out = self._moved(Pictures(config, [-1], 3).draw(96))
        self.reader = RigReader().to(device)
        self.optimizer = torch.optim.AdamW(self.reader.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=1e-3)
        self.curve: list[dict[str, float]] = []

    def _moved(self, drawn: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(part.to(self.device) for part in drawn)

    def resume(self) -> None:
        saved = torch.load(self.out / "encoder.pt", map_location=self.device)
        self.reader.load_state_dict(saved["net"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.curve = saved["step"], saved["curve"]
        self.pictures.rng = np.random.default_rng(self.step)

    def loss(self) -> Tensor:
        picture, reference, landmarks, truth = self._moved(self.pictures.draw(self.batch))
        error = (self.reader(picture, reference, landmarks) - truth) / self.reader.spread
        # gaze is not visible behind closed lids, so it does not count there
        visible = torch.ones_like(truth)
        visible[:, INDEX["gaze_x"] : INDEX["gaze_y"] + 1] = (1 - truth[:, INDEX["blink"], None]).clamp(0, 1)
        return (F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=0.3) * visible).mean()

    def report(self, loss: float, seconds: float) -> None:
        self.reader.eval()
        with torch.no_grad():
            read = self.reader(*self.held_out[:3]).cpu().numpy()
        self.reader.train()
        found = correlations(read, self.held_out[3].cpu().numpy())
        row = {"step": self.step, "seconds": round(seconds, 1), "loss": round(loss, 4)}
        row.update({name: round(float(found[index]), 3) for name, index in INDEX.items()})
        self.curve.append(row)
        print(row, flush=True)
        saved = {"net": self.reader.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step, "curve": self.curve}
        torch.save(saved, self.out / "encoder.partial")
        (self.out / "encoder.partial").rename(self.out / "encoder.pt")
        with (self.out / "encoder.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(self.curve)

    def run(self, seconds: float, every: int = 50) -> None:
        started, losses = time.time(), []
        while self.step < self.steps and time.time() - started < seconds:
            rate = 2e-3 * min(1, (self.step + 1) / 30) * max(0.02, min(1.0, (self.steps - self.step) / (0.5 * self.steps)))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self.loss()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.reader.parameters(), 1.0)
            self.optimizer.step()
            self.step += 1
            losses.append(loss.item())
            if self.step % every == 0 or self.step == self.steps:
                self.report(sum(losses) / len(losses), time.time() - started)
                losses = []


def read_clips(reader: RigReader, avatars: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Readings and true rig rows of drawn clips of held-out avatars, both [avatars, frames, 15]."""
    reads, truths = [], []
    for i in range(avatars):
        avatar, rig = Avatar(random_spec(HELD_OUT_SEED + i)), evaluation_track(40 + i, frames)
        packed = to_float(torch.from_numpy(np.stack([pack(picture) for picture in (avatar.reference, *map(avatar.draw, rig))])))
        halves = torch.cat([packed[:, :4].mean(1, keepdim=True), packed[:, 4:]], 1)
        landmarks = torch.from_numpy(avatar.landmarks).expand(frames, -1, -1)
        with torch.no_grad():
            read = reader.eval()(halves[1:], halves[:1].expand(frames, -1, -1, -1), landmarks)
        reads.append(read.numpy().clip(LOW, HIGH))
        truths.append(rig)
    return np.stack(reads), np.stack(truths)


def latent_correlations(read: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Correlation of the latents of both, by slot, of clips [n, frames, 15]."""
    ours, theirs = (np.concatenate([encode_rig(clip) for clip in clips]).reshape(-1, 8, 4) for clips in (read, truth))
    slots = {"mouth": slice(0, 2), "eyes": slice(2, 3), "pose": slice(3, 4)}
    return {name: round(float(np.corrcoef(ours[..., part].ravel(), theirs[..., part].ravel())[0, 1]), 3) for name, part in slots.items()}


def steadied(read: np.ndarray, steady: np.ndarray) -> np.ndarray:
    """Readings [clips, frames, 15] as the graph's state eases them."""
    eased = read.copy()
    for frame in range(1, read.shape[1]):
        eased[:, frame] += steady * (eased[:, frame - 1] - read[:, frame])
    return eased


def reconstruction(config: DecoderConfig, read: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """PSNR against drawn clips, dB, whole pictures and mouths: of what was read, of the true rig, both through codec and decoder."""
    graphs, scores = build_graphs(config), {}
    for i, (ours, true) in enumerate(zip(read, truth)):
        avatar = Avatar(random_spec(HELD_OUT_SEED + i))
        drawn = np.stack([avatar.draw(row) for row in true])
        for name, rig in (("read", ours), ("true", true)):
            decoded = decode_track(*graphs, avatar, rig.astype(np.float32))
            mouths = [crop(frames, *avatar.landmarks[0], 44, 26, 42) for frames in (decoded, drawn)]
            scores.setdefault(f"{name}_whole", []).append(psnr(decoded, drawn))
            scores.setdefault(f"{name}_mouth", []).append(psnr(*mouths))
    return {name: round(float(np.mean(values)), 2) for name, values in scores.items()}


def export(reader: RigReader, steady: np.ndarray, path: Path) -> None:
    graph = EncoderGraph(reader.eval(), steady)
    inputs = (torch.zeros(FRAMES, 98304, dtype=torch.uint8), torch.zeros(1, 98304, dtype=torch.uint8), torch.full((3, 2), 120.0), torch.zeros(STATE_SHAPE))
    names = ["frames", "reference", "landmarks", "state"]
    write_onnx(graph, inputs, path, names, ["latent", "state_out"], LEAST_HALVED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config")
    parser.add_argument("--out", required=True)
    parser.add_argument("--shards", type=int, default=5, help="how many shards to read")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--export", help="ONNX file to write from encoder.pt, instead of training")
    parser.add_argument("--avatars", type=int, default=8, help="number of avatars on which the export is evaluated")
    add_device(parser)
    args = parser.parse_args()
    config, out, device = load(args.config), Path(args.out), require(args.device)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    if args.export:
        reader = RigReader()
        reader.load_state_dict(torch.load(out / "encoder.pt", map_location="cpu")["net"])
        read, truth = read_clips(reader, args.avatars, 2 * FRAMES)
        steady = best_steady(read, truth)
        eased = steadied(read, steady)
        print({"steady": steady.round(2).tolist(), "frame by frame": latent_correlations(read, truth), "eased": latent_correlations(eased, truth)})
        if config.trained("mouth").exists():
            print(reconstruction(config, eased, truth))
        export(reader, steady, Path(args.export))
        return
    trainer = Trainer(config, out, list(range(args.shards)), args.batch, args.steps, device)
    if args.resume:
        trainer.resume()
    trainer.run(args.seconds)


if __name__ == "__main__":
    main()
