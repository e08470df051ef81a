"""Trains one part of the decoder: python3 -m talkmesh_nano.train_decoder --stage mouth|eyes|flow [--config FILE] [--resume] [--init FILE].

Writes checkpoint_<stage>.pt, curve_<stage>.csv and curve_<stage>.png into the configured folder.
`--smoke` draws tiny data and takes three steps of every stage.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
import time
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from .decoder_config import DecoderConfig, StageTraining, load, smoke
from .decoder_data import write_shard
from .decoder_stages import FlowStage, PatchStage

STAGES = ("mouth", "eyes", "flow")


class Stage(Protocol):
    net: nn.Module
    training: StageTraining

    def loss(self) -> Tensor: ...

    def evaluate(self) -> dict[str, float]: ...


def make_stage(config: DecoderConfig, name: str) -> Stage:
    return FlowStage(config) if name == "flow" else PatchStage(config, name)


def rate_at(training: StageTraining, step: int) -> float:
    """Warm-up, plateau, then a straight fall to 2 % over the last share of the steps."""
    rise = min(1.0, (step + 1) / training.warmup_steps)
    left = (training.steps - step) / max(1.0, training.steps * training.cooldown)
    return training.rate * rise * max(0.02, min(1.0, left))


class Average:
    """Running average of the weights and statistics; starts fast so that early checkpoints are usable."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.weights = {key: value.detach().clone() for key, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        self.count += 1
        decay = min(self.decay, self.count / (self.count + 10))
        for key, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                self.weights[key].lerp_(value, 1 - decay)
            else:
                self.weights[key].copy_(value)


class Trainer:
    """Runs a stage with AdamW, a weight average, checkpoints and a curve."""

    def __init__(self, config: DecoderConfig, name: str) -> None:
        self.config, self.name = config, name
        torch.manual_seed(config.seed)
        self.stage = make_stage(config, name)
        self.training = self.stage.training
        self.optimizer = torch.optim.AdamW(self.stage.net.parameters(), lr=self.training.rate, betas=(0.9, 0.98), weight_decay=1e-3)
        self.average = Average(self.stage.net, self.training.average)
        self.step = 0
        self.curve: list[dict[str, float]] = []
        self.checkpoint = config.checkpoint(name)
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)

    def start_from(self, checkpoint: Path) -> None:
        """Take the averaged weights of another run; only a second pass of the flow may be missing there."""
        own, given = self.stage.net.state_dict(), torch.load(checkpoint)["average"]
        wrong = [name for name in given if name not in own or own[name].shape != given[name].shape]
        wrong += [name for name in own if name not in given and not name.startswith("refine.")]
        if wrong:
            raise ValueError(f"{checkpoint} does not fit the configured network: {', '.join(wrong)}")
        self.stage.net.load_state_dict({**own, **given})
        self.average = Average(self.stage.net, self.training.average)

    def resume(self) -> None:
        """Continue from the checkpoint. Raises FileNotFoundError without one."""
        saved = torch.load(self.checkpoint)
        self.stage.net.load_state_dict(saved["net"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.weights, self.average.count = saved["average"], saved["step"]
        self.step, self.curve = saved["step"], saved["curve"]
        torch.manual_seed(self.config.seed + self.step)

    def save(self) -> None:
        saved = {
            "net": self.stage.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights,
            "step": self.step,
            "curve": self.curve,
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(saved, partial)
        partial.rename(self.checkpoint)
        write_curve(self.checkpoint.with_name(f"curve_{self.name}.csv"), self.curve)

    def report(self, seconds: float, losses: list[float]) -> None:
        own = {key: value.clone() for key, value in self.stage.net.state_dict().items()}
        self.stage.net.load_state_dict(self.average.weights)
        self.stage.net.eval()
        with torch.no_grad():
            scores = self.stage.evaluate()
        self.stage.net.load_state_dict(own)
        self.stage.net.train()
        row = {"step": self.step, "seconds": round(seconds, 1), "loss": sum(losses) / len(losses), **scores}
        self.curve.append(row)
        print(self.name, " ".join(f"{key} {value:.5g}" for key, value in row.items()), flush=True)
        self.save()

    def run(self) -> None:
        started, losses = time.time(), []
        before = self.curve[-1]["seconds"] if self.curve else 0.0
        while self.step < self.training.steps:
            for group in self.optimizer.param_groups:
                group["lr"] = rate_at(self.training, self.step)
            loss = self.stage.loss()
            if not math.isfinite(loss.item()):
                raise RuntimeError(f"{self.name}: loss is {loss.item()} at step {self.step}; resume with a lower rate")
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.stage.net.parameters(), 1.0)
            self.optimizer.step()
            self.average.update(self.stage.net)
            self.step += 1
            losses.append(loss.item())
            if self.step % self.training.report_every == 0 or self.step == self.training.steps:
                self.report(before + time.time() - started, losses)
                losses = []


def write_curve(path: Path, curve: list[dict[str, float]]) -> None:
    """The curve as CSV, and beside it as a plain PNG: one panel per column."""
    if not curve:
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(curve[-1]))
        writer.writeheader()
        writer.writerows(curve)
    from PIL import Image, ImageDraw

    names = [name for name in curve[-1] if name not in ("step", "seconds")]
    image = Image.new("RGB", (480, 150 * len(names)), "white")
    draw = ImageDraw.Draw(image)
    for i, name in enumerate(names):
        values = [row[name] for row in curve]
        low, high = min(values), max(values)
        top = 150 * i + 20
        draw.text((6, top - 16), f"{name}: last {values[-1]:.4g}, {low:.4g} to {high:.4g}", fill="black")
        points = [
            (6 + 468 * k / max(1, len(values) - 1), top + 120 * (1 - (value - low) / ((high - low) or 1))) for k, value in enumerate(values)
        ]
        if len(points) > 1:
            draw.line(points, fill=(40, 90, 200), width=2)
    image.save(path.with_suffix(".png"))


def run_smoke() -> None:
    """Data, three steps and a checkpoint of every stage in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        config = smoke(folder)
        for shard in (-1, 0):
            write_shard(config, shard)
        for name in STAGES:
            Trainer(config, name).run()
            again = Trainer(config, name)
            again.resume()
            print(f"{name}: resumed at step {again.step}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", help="JSON overrides of the defaults")
    parser.add_argument("--stage", choices=STAGES)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--init", help="checkpoint of another run to start from")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    config = load(args.config)
    torch.set_num_threads(config.threads)
    if args.smoke:
        run_smoke()
        return
    if args.stage is None:
        parser.error("--stage is needed unless --smoke is given")
    trainer = Trainer(config, args.stage)
    if args.init:
        trainer.start_from(Path(args.init))
    if args.resume:
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
