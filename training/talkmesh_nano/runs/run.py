"""Command-line plumbing shared by the training stages: configs, threads, curves, checkpoints."""
import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from .device import add_device, require
from .parallel import ShardedAdamW, launch, of_rank


def arguments(description, config_path, extend=lambda parser: None):
    """The stages' common options (see below) and those that `extend` adds to the parser; the config's values fill what is not given."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=config_path)
    parser.add_argument("--out", required=True, help="folder for the checkpoint and curve")
    parser.add_argument("--data", required=True, help="folder of dataset.make shards")
    parser.add_argument("--init", help="checkpoint to start from")
    parser.add_argument("--seconds", type=float, help="stop after this much wall time")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in --out")
    parser.add_argument("--ranks", type=int, default=1, help="processes that share each batch and the optimiser's state")
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that everything runs")
    add_device(parser)
    extend(parser)
    args = parser.parse_args()
    code = launch(args.ranks)
    if code is not None:
        raise SystemExit(code)
    args.device = require(of_rank(args.device))
    args.settings = json.loads(Path(args.config).read_text())
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    return args


class Run:
    """One training run: when to stop, learning rate, curve.jsonl, last.pt with weights, EMA, optimiser and step.

    The optimiser is sharded over the ranks; rank 0 writes. `rngs` are the generators of this rank's share of the batch: sequence i of
    step s depends on (seed, s, i) alone, so any number of ranks trains on the same global batch, and a resumed run continues with new ones.
    The model goes to `args.device`; numbers are drawn on the CPU, so that every device sees the same ones.
    """

    def __init__(self, args, model, parameters, ema=0.998):
        self.settings, self.seed = args.settings, args.seed
        self.out = Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.limit_s = 12.0 if args.smoke else (args.seconds or 1e9)
        self.steps = 3 if args.smoke else (args.steps or self.settings["steps"])
        self.device = args.device
        self.model, self.step, self.spent_s, self.done = model.to(self.device), 0, 0.0, 0.0
        named = {id(p): n for n, p in model.named_parameters()}
        parameters = list(parameters)
        self.names = [named[id(p)] for p in parameters]
        self.sums, self.count, self.started = {}, 0, time.time()
        state = torch.load(self.out / "last.pt", map_location="cpu") if args.resume else None
        if state:
            model.load_state_dict(state["model"])
            self.step, self.spent_s = state["step"], state["spent_s"]
        self.optimizer = ShardedAdamW(parameters, self.settings["lr"], decay=self.settings.get("ema", ema))
        if state:
            self.optimizer.load_state_dict(state["optimizer"])
        self.rank, self.ranks = self.optimizer.rank, self.optimizer.ranks

    def rngs(self, batch, purpose=0):
        """Generators of this rank's sequences of this step's global batch; draws that must be independent use another `purpose`."""
        if batch % self.ranks:
            raise ValueError(f"a batch of {batch} does not divide over {self.ranks} ranks: take a multiple")
        return [np.random.default_rng([self.seed, self.step, i, purpose]) for i in range(self.rank, batch, self.ranks)]

    def step_rng(self):
        """A generator that is the same on every rank at this step."""
        return np.random.default_rng([self.seed, self.step])

    def progress(self):
        """0..1 of the run, by whichever of time and steps is further."""
        return min(1.0, max(self.step / self.steps, (time.time() - self.started) / self.limit_s))

    def running(self):
        """Whether to continue; the first rank's clock counts for all."""
        done = torch.tensor(self.progress(), device=self.device)
        if self.ranks > 1:
            torch.distributed.broadcast(done, 0)
        self.done = done.item()
        return self.done < 1.0

    def rate(self):
        """Learning rate of this step: warm-up, then cosine decay to a twentieth."""
        return self.settings["lr"] * min(1.0, (self.step + 1) / 60) * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * self.done)))

    def update(self, loss, **values):
        """One optimiser step and EMA, and a curve line every 25 steps."""
        loss.backward()
        norm = self.optimizer.step(self.rate())
        self.step += 1
        self.count += 1
        for key, value in dict(loss=loss.item(), grad=norm, **values).items():
            self.sums[key] = self.sums.get(key, 0.0) + float(value)
        if self.step % 25 == 0:
            self.log()

    def log(self, **extra):
        line = {"step": self.step, "s": round(self.spent_s + time.time() - self.started, 1)}
        line.update({k: round(v / max(1, self.count), 5) for k, v in self.sums.items()}, **extra)
        self.sums, self.count = {}, 0
        if self.rank:
            return
        print(json.dumps(line), flush=True)
        with open(self.out / "curve.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")

    def averaged(self):
        """State dict in which trained parameters have their EMA values."""
        return {**self.model.state_dict(), **dict(zip(self.names, self.optimizer.averaged()))}

    def save(self, **extra):
        parts = {"model": self.model.state_dict(), "ema": self.averaged(), "optimizer": self.optimizer.state_dict()}
        # on the CPU, so that a checkpoint loads on any device
        state = {name: {k: v.cpu() if torch.is_tensor(v) else v for k, v in part.items()} for name, part in parts.items()}
        state.update(step=self.step, settings=self.settings)
        if hasattr(self.model, "config"):
            state["config"] = asdict(self.model.config)
        if self.rank:
            return
        torch.save({**state, "spent_s": self.spent_s + time.time() - self.started, **extra}, self.out / "last.tmp")
        (self.out / "last.tmp").rename(self.out / "last.pt")


def load_score(path):
    """(Score in eval mode with a checkpoint's EMA weights and its own chunk size, the checkpoint)."""
    from ..score.model import Score, ScoreConfig

    state = torch.load(path, map_location="cpu")
    model = Score(ScoreConfig(**state.get("config", {}))).eval()
    load_weights(model, path)
    return model, state


def load_weights(model, path, ema=True):
    """Weights of a checkpoint (EMA by default) into the model; keys that the checkpoint lacks keep their values."""
    state = torch.load(path, map_location="cpu")
    # the rotary angles follow from the chunk size: a model adapted to another size keeps its own
    weights = {k: v for k, v in state["ema" if ema else "model"].items() if k != "angles"}
    missing = model.load_state_dict(weights, strict=False)
    if missing.unexpected_keys:
        raise ValueError(f"{path} holds weights that this model does not have: {missing.unexpected_keys[:3]}; pass a checkpoint of the same network")
    return state
