"""Trains the portrait finder: python3 -m talkmesh_nano.portrait.train [--config FILE] [--seconds S] [--resume] [--smoke].

Writes checkpoint.pt and curve.csv into the configured folder. `python3 -m talkmesh_nano.portrait.data` draws the pictures; it may
still be drawing, new shards are picked up.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..decoder.train import CPU, Average, write_curve
from ..runs.config import config_parser, training_arguments
from .config import PortraitConfig, load, smoke
from .data import Portraits, write_shard
from .net import MAP, PortraitNet, cells, expected_places
from .scenes import KINDS, WITH_ATTRIBUTES, WITH_LANDMARKS, Batch, Scenes

SPREAD = 0.7 / MAP
ATTRIBUTE_WEIGHTS = (2.0, 1.0, 1.0, 0.5)


def _is_one_of(kinds: Tensor, names: tuple[str, ...]) -> Tensor:
    return torch.isin(kinds, torch.tensor([KINDS.index(name) for name in names], device=kinds.device))


def target_maps(landmarks: Tensor) -> Tensor:
    """[B, 3, 2] in 0..1 -> [B, 3, 1024], a narrow bell at each landmark, summing to 1."""
    away = (landmarks[:, :, None] - cells(landmarks.device)).square().sum(-1)
    return (-away / (2 * SPREAD**2)).softmax(2)


def losses(net: PortraitNet, batch: Batch) -> dict[str, Tensor]:
    heat, kinds, attributes, _ = net(batch.pictures)
    placed, described = _is_one_of(batch.kinds, WITH_LANDMARKS), _is_one_of(batch.kinds, WITH_ATTRIBUTES)
    heat, truth = heat[placed], batch.landmarks[placed]
    maps = -(target_maps(truth) * heat.flatten(2).log_softmax(2)).sum(2).mean()
    error = (expected_places(heat) - truth).abs()
    missed = (attributes - batch.attributes)[described]
    return {
        "kind": F.cross_entropy(kinds, batch.kinds, label_smoothing=0.03),
        "map": maps,
        "place": error.mean(),
        "attribute": (missed.square() * torch.tensor(ATTRIBUTE_WEIGHTS, device=missed.device)).mean(),
    }


class Trainer:
    """Runs the training with AdamW, an average of the weights, checkpoints and a curve. Scenes are drawn on the CPU; batches go to the device."""

    def __init__(self, config: PortraitConfig, device: torch.device = CPU) -> None:
        self.config, self.device = config, device
        torch.manual_seed(config.seed)
        self.net = PortraitNet().to(device)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=config.rate, betas=(0.9, 0.98), weight_decay=1e-2)
        self.average = Average(self.net, config.average)
        self.step, self.curve = 0, []  # type: ignore[var-annotated]
        self.portraits = Portraits(config)
        self.scenes = Scenes(config, self.portraits, config.seed)
        self.held_out = Scenes(config, Portraits(config, held_out=True), config.seed + 9)
        self.fixed = [self.held_out.batch(64).to(device) for _ in range(3)]
        self.checkpoint = Path(config.folder) / "checkpoint.pt"

    def resume(self) -> None:
        """Continue from the checkpoint. Raises FileNotFoundError without one."""
        saved = torch.load(self.checkpoint, map_location=self.device)
        self.net.load_state_dict(saved["net"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.weights, self.average.count = saved["average"], saved["step"]
        self.step, self.curve = saved["step"], saved["curve"]
        self.scenes.rng = np.random.default_rng(self.config.seed + self.step)

    def save(self) -> None:
        state = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "average": self.average.weights}
        partial = self.checkpoint.with_suffix(".partial")
        torch.save({**state, "step": self.step, "curve": self.curve}, partial)
        partial.rename(self.checkpoint)
        write_curve(self.checkpoint.with_name("curve.csv"), self.curve)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        net = averaged(self.average.weights).to(self.device)
        outputs = [net(batch.pictures) for batch in self.fixed]
        kinds = torch.cat([batch.kinds for batch in self.fixed])
        right = torch.cat([output[1] for output in outputs]).argmax(1) == kinds
        error = torch.cat([(expected_places(output[0]) - batch.landmarks) for output, batch in zip(outputs, self.fixed)])
        pixels = error.square().sum(2).sqrt().mul(256)[kinds == 0]
        missed = torch.cat([(output[2] - batch.attributes).abs() for output, batch in zip(outputs, self.fixed)])[kinds == 0].mean(0)
        return {
            "kind_right": float(right.float().mean()),
            "fits_right": float(right[kinds == 0].float().mean()),
            "median_px": float(pixels.median()),
            "worst_px": float(pixels.max()),
            "mouth_open": float(missed[0]),
            "yaw": float(missed[2]),
        }

    def report(self, seconds: float, sums: dict[str, float], count: int) -> None:
        means = {name: value / count for name, value in sums.items()}
        self.curve.append({"step": self.step, "seconds": round(seconds, 1), **means, **self.evaluate()})
        print(" ".join(f"{key} {value:.4g}" for key, value in self.curve[-1].items()), f"pictures {len(self.portraits)}", flush=True)
        self.save()

    def run(self) -> None:
        started, count = time.time(), 0
        sums: dict[str, float] = {}
        before, first = (self.curve[-1]["seconds"] if self.curve else 0.0), self.step
        config = self.config
        while True:
            done = max(self.step / config.steps, (time.time() - started) / config.seconds if config.seconds > 0 else 0)
            if done >= 1:
                break
            rise = min(1.0, (self.step - first + 1) / 60)
            for group in self.optimizer.param_groups:
                group["lr"] = config.rate * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
            parts = losses(self.net, self.scenes.batch(config.batch).to(self.device))
            loss = parts["kind"] + 0.5 * parts["map"] + 6 * parts["place"] + parts["attribute"]
            if not math.isfinite(loss.item()):
                raise RuntimeError(f"loss is {loss.item()} at step {self.step}; resume with a lower rate")
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
            self.optimizer.step()
            self.average.update(self.net)
            self.step, count = self.step + 1, count + 1
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value.item()
            if self.step % config.report_every == 0:
                self.report(before + time.time() - started, sums, count)
                sums, count = {}, 0
                self.portraits.refresh()
        if count > 0:
            self.report(before + time.time() - started, sums, count)


def averaged(weights: dict[str, Tensor]) -> PortraitNet:
    """The net with averaged weights, for use."""
    net = PortraitNet()
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)


def run_smoke(device: torch.device) -> None:
    """Pictures, three steps, a checkpoint and a resumed run in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        config = smoke(folder)
        for shard in (-1, 0):
            write_shard(config, shard)
        Trainer(config, device).run()
        config.steps = 5
        again = Trainer(config, device)
        again.resume()
        again.run()
        print(f"resumed and stopped at step {again.step}")


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--seconds", type=float, help="stop after this much wall time")
    args, config, device = training_arguments(parser, load, run_smoke)
    if args.seconds is not None:
        config.seconds = args.seconds
    trainer = Trainer(config, device)
    if args.resume:
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
