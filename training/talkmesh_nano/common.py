"""Command-line plumbing shared by the training stages: configs, threads, curves, checkpoints."""
import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch


def arguments(description, config_path):
    """--config, --out, --data, --seconds, --steps, --resume, --init, --teacher, --seed, --threads, --smoke; config values fill what is not given."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=config_path)
    parser.add_argument("--out", required=True, help="folder for the checkpoint and curve")
    parser.add_argument("--data", required=True, help="folder of make_data shards")
    parser.add_argument("--init", help="checkpoint to start from")
    parser.add_argument("--teacher", help="distill: the teacher's checkpoint, when it is not --init")
    parser.add_argument("--seconds", type=float, help="stop after this much wall time")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out")
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that everything runs")
    args = parser.parse_args()
    args.settings = json.loads(Path(args.config).read_text())
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    return args


class Run:
    """One training run: when to stop, learning rate, curve.jsonl, last.pt with weights, EMA, optimiser and step."""

    def __init__(self, args, model, parameters, ema=0.998):
        self.settings = args.settings
        self.out = Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.limit_s = 12.0 if args.smoke else (args.seconds or 1e9)
        self.steps = 3 if args.smoke else (args.steps or self.settings["steps"])
        self.model, self.decay, self.step, self.spent_s = model, ema, 0, 0.0
        self.parameters = list(parameters)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=self.settings["lr"], betas=(0.9, 0.98), weight_decay=0.01)
        self.ema = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.sums, self.count, self.started = {}, 0, time.time()
        if args.resume:
            state = torch.load(self.out / "last.pt")
            model.load_state_dict(state["model"])
            self.ema, self.step, self.spent_s = state["ema"], state["step"], state["spent_s"]
            self.optimizer.load_state_dict(state["optimizer"])

    def progress(self):
        """0..1 of the run, by whichever of time and steps is further."""
        return min(1.0, max(self.step / self.steps, (time.time() - self.started) / self.limit_s))

    def running(self):
        return self.progress() < 1.0

    def update(self, loss, **values):
        """One optimiser step with warm-up and cosine decay, EMA, and a curve line every 50 steps."""
        rate = self.settings["lr"] * min(1.0, (self.step + 1) / 60) * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * self.progress())))
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.model.state_dict().items():
                if value.dtype.is_floating_point:
                    self.ema[key].lerp_(value, 1 - decay)
        self.count += 1
        for key, value in dict(loss=loss.item(), grad=norm.item(), **values).items():
            self.sums[key] = self.sums.get(key, 0.0) + float(value)
        if self.step % 50 == 0:
            self.log()

    def log(self, **extra):
        line = {"step": self.step, "s": round(self.spent_s + time.time() - self.started, 1)}
        line.update({k: round(v / max(1, self.count), 5) for k, v in self.sums.items()}, **extra)
        self.sums, self.count = {}, 0
        print(json.dumps(line), flush=True)
        with open(self.out / "curve.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")

    def save(self, **extra):
        state = {"model": self.model.state_dict(), "ema": self.ema, "optimizer": self.optimizer.state_dict(), "step": self.step}
        torch.save({**state, "spent_s": self.spent_s + time.time() - self.started, **extra}, self.out / "last.tmp")
        (self.out / "last.tmp").rename(self.out / "last.pt")


def load_weights(model, path, ema=True):
    """Weights of a checkpoint (EMA by default) into the model; keys that the checkpoint lacks keep their values."""
    state = torch.load(path, map_location="cpu")
    missing = model.load_state_dict(state["ema" if ema else "model"], strict=False)
    if missing.unexpected_keys:
        raise ValueError(f"{path} holds weights this model does not have: {missing.unexpected_keys[:3]}")
    return state
