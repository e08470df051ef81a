"""Trains one part of the decoder: python3 -m talkmesh_nano.decoder.train --stage mouth|eyes|flow [--config FILE] [--resume] [--init FILE].

Writes checkpoint_<stage>.pt, curve_<stage>.csv and curve_<stage>.png into the configured folder. A run ends after the configured steps,
or with `--cpu-seconds` after so much CPU time, all runs that it resumes together; its rate falls to that end.
`--smoke` draws tiny data and takes three steps of every stage.
"""

from __future__ import annotations

import csv
import math
import tempfile
import time
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..runs.budget import Budget
from ..runs.config import config_parser, training_arguments
from .config import DecoderConfig, StageTraining, load, smoke
from .data import write_shard
from .stages import FlowStage, PatchStage

STAGES = ("mouth", "eyes", "flow")


CPU = torch.device("cpu")


class Stage(Protocol):
    """What is trained: its network is on `device`, and `loss` moves its batches there."""

    net: nn.Module
    training: StageTraining
    device: torch.device
    random: np.random.Generator
    """What batches are drawn with; seeded differently when a run is resumed, so that it does not repeat batches."""

    def loss(self) -> Tensor: ...

    def evaluate(self) -> dict[str, float]: ...


def make_stage(config: DecoderConfig, name: str, device: torch.device) -> Stage:
    return FlowStage(config, device) if name == "flow" else PatchStage(config, name, device)


def rate_at(training: StageTraining, step: int, done: float) -> float:
    """Warm-up, plateau, then a straight fall to 2 % over the last share of the run, of which `done` (0 to 1) is behind."""
    rise = min(1.0, (step + 1) / training.warmup_steps)
    return training.rate * rise * max(0.02, min(1.0, (1 - done) / training.cooldown))


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


def make_optimizer(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(net.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=1e-3)


class Trainer:
    """Runs a stage with AdamW, a weight average, checkpoints and a curve. Seed torch before the stage is made."""

    def __init__(self, stage: Stage, checkpoint: Path, seed: int) -> None:
        self.stage, self.training, self.checkpoint, self.seed = stage, stage.training, checkpoint, seed
        self.name = checkpoint.stem.removeprefix("checkpoint_")
        self.optimizer = make_optimizer(self.stage.net, self.training.rate)
        self.average = Average(self.stage.net, self.training.average)
        self.step = 0
        self.curve: list[dict[str, float]] = []

    def start_from(self, checkpoint: Path) -> None:
        """Take the averaged weights of another run; only a second pass of the flow may be missing there."""
        own, given = self.stage.net.state_dict(), torch.load(checkpoint, map_location=self.stage.device)["average"]
        wrong = [name for name in given if name not in own or own[name].shape != given[name].shape]
        wrong += [name for name in own if name not in given and not name.startswith("refine.")]
        if wrong:
            raise ValueError(f"{checkpoint} does not fit the configured network: {', '.join(wrong)}")
        self.stage.net.load_state_dict({**own, **given})
        self.average = Average(self.stage.net, self.training.average)

    def resume(self) -> None:
        """Continue from the checkpoint. Raises FileNotFoundError without one."""
        saved = torch.load(self.checkpoint, map_location=self.stage.device)
        self.stage.net.load_state_dict(saved["net"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.weights, self.average.count = saved["average"], saved["step"]
        self.step, self.curve = saved["step"], saved["curve"]
        torch.manual_seed(self.seed + self.step)
        self.stage.random = np.random.default_rng(self.seed + self.step)

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

    def report(self, seconds: float, cpu_seconds: float, losses: list[float]) -> None:
        own = {key: value.clone() for key, value in self.stage.net.state_dict().items()}
        self.stage.net.load_state_dict(self.average.weights)
        self.stage.net.eval()
        with torch.no_grad():
            scores = self.stage.evaluate()
        self.stage.net.load_state_dict(own)
        self.stage.net.train()
        row = {"step": self.step, "seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1), "loss": sum(losses) / len(losses), **scores}
        self.curve.append(row)
        print(self.name, " ".join(f"{key} {value:.5g}" for key, value in row.items()), flush=True)
        self.save()

    def run(self, cpu_seconds: float | None = None) -> None:
        """Train to the end of the configured steps, or of `cpu_seconds` counted from the first step ever."""
        started, losses = time.time(), []
        before, spent = (self.curve[-1][name] if self.curve else 0.0 for name in ("seconds", "cpu_seconds"))
        budget = Budget(self.training.steps, cpu_seconds, spent)
        done = budget.done(self.step)
        while done < 1:
            for group in self.optimizer.param_groups:
                group["lr"] = rate_at(self.training, self.step, done)
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
            done = budget.done(self.step)
            if self.step % self.training.report_every == 0 or done >= 1:
                self.report(before + time.time() - started, budget.spent(), losses)
                losses = []


def stage_trainer(config: DecoderConfig, name: str, device: torch.device = CPU) -> Trainer:
    torch.manual_seed(config.seed)
    checkpoint = config.checkpoint(name)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    return Trainer(make_stage(config, name, device), checkpoint, config.seed)


def write_curve(path: Path, curve: list[dict[str, float]]) -> None:
    """The curve as CSV, and beside it as a plain PNG: one panel per column."""
    if not curve:
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(curve[-1]))
        writer.writeheader()
        writer.writerows(curve)
    from PIL import Image, ImageDraw

    names = [name for name in curve[-1] if name not in ("step", "seconds", "cpu_seconds")]
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


def run_smoke(device: torch.device) -> None:
    """Data, three steps and a checkpoint of every stage in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        config = smoke(folder)
        for shard in (-1, 0):
            write_shard(config, shard)
        for name in STAGES:
            stage_trainer(config, name, device).run()
            again = stage_trainer(config, name, device)
            again.resume()
            print(f"{name}: resumed at step {again.step}")


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument("--stage", choices=STAGES)
    parser.add_argument("--init", help="checkpoint of another run to start from")
    parser.add_argument("--cpu-seconds", type=float, help="end after this much CPU time of the process in place of the configured steps")
    args, config, device = training_arguments(parser, load, run_smoke)
    if args.stage is None:
        parser.error("--stage is needed unless --smoke is given")
    trainer = stage_trainer(config, args.stage, device)
    if args.init:
        trainer.start_from(Path(args.init))
    if args.resume:
        trainer.resume()
    trainer.run(args.cpu_seconds)


if __name__ == "__main__":
    main()
