"""Sharded data parallelism: every rank holds the whole weights, but only its share of gradients, optimiser state and EMA (ZeRO stage 2).

torch.distributed.fsdp does the same and more, but the one of Debian 12 (PyTorch 1.13 under Python 3.11) cannot be imported, and a model
of a few MB has no use for sharded weights. Ranks come from `--ranks N` here, or from torchrun's environment.
"""
import os
import signal
import socket
import subprocess
import sys

import torch
import torch.distributed as dist


def launch(ranks):
    """Runs this same command once per rank on this machine and returns the exit code; None when it already is one of the ranks."""
    if ranks <= 1 or "RANK" in os.environ:
        return None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, *sys.orig_argv[1:]]
    children = [subprocess.Popen(command, env={**shared, "RANK": str(rank)}) for rank in range(ranks)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        failed = 0
        while children and not failed:
            for child in list(children):
                try:
                    failed = failed or abs(child.wait(timeout=0.2))
                    children.remove(child)
                except subprocess.TimeoutExpired:
                    continue
        return failed
    finally:
        # one rank gone leaves the others waiting for it
        for child in children:
            child.terminate()


def of_rank(device):
    """The device of this process: with `cuda`, each rank takes one GPU, in turn."""
    rank = os.environ.get("LOCAL_RANK", os.environ.get("RANK"))
    if device.type != "cuda" or device.index is not None or rank is None or not torch.cuda.is_available():
        return device
    device = torch.device("cuda", int(rank) % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def join(device):
    """(rank, ranks) of this process; joins its group when the environment names one: over nccl on GPUs, over gloo elsewhere."""
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return (dist.get_rank(), ranks) if ranks > 1 else (0, 1)


class ShardedAdamW:
    """AdamW with an EMA of the weights over a flat view of the parameters, cut into one slice per rank.

    `step` averages the gradients of all ranks, so that N ranks with B / N sequences each take the same step as one rank with B.
    AdamW works number by number, so the slices' borders change nothing. Everything lies where the parameters do; saved states are read from anywhere.
    """

    def __init__(self, parameters, lr, betas=(0.9, 0.98), weight_decay=0.01, decay=0.998, limit=1.0):
        self.parameters, self.decay, self.limit = list(parameters), decay, limit
        self.device = self.parameters[0].device
        self.rank, self.ranks = join(self.device)
        self.size = sum(p.numel() for p in self.parameters)
        self.share = -(-self.size // self.ranks)
        flat = self._flat([p.detach() for p in self.parameters])
        if self.ranks > 1:
            dist.broadcast(flat, 0)
            self._scatter(flat)
        self.mine = torch.nn.Parameter(self._slice(flat, self.rank).clone())
        self.ema = self.mine.detach().clone()
        self.adam = torch.optim.AdamW([self.mine], lr=lr, betas=betas, weight_decay=weight_decay)
        self.steps = 0

    def _flat(self, tensors):
        pad = self.share * self.ranks - self.size
        return torch.cat([t.reshape(-1) for t in tensors] + [torch.zeros(pad, device=self.device)])

    def _slice(self, flat, rank):
        return flat[rank * self.share:(rank + 1) * self.share]

    def _scatter(self, flat):
        at = 0
        with torch.no_grad():
            for p in self.parameters:
                p.copy_(flat[at:at + p.numel()].reshape(p.shape))
                at += p.numel()

    def _gather(self, mine):
        """The whole vector from every rank's slice."""
        if self.ranks == 1:
            return mine.detach()
        slices = [torch.empty_like(mine) for _ in range(self.ranks)]
        dist.all_gather(slices, mine.detach())
        return torch.cat(slices)

    def step(self, rate):
        """One step from the gradients in the parameters, which it clears; returns their global norm before clipping."""
        flat = self._flat([torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters])
        for p in self.parameters:
            p.grad = None
        if self.ranks > 1:
            for owner in range(self.ranks):
                dist.reduce(self._slice(flat, owner), owner)
        grad = self._slice(flat, self.rank) / self.ranks
        del flat
        square = grad.square().sum()
        if self.ranks > 1:
            dist.all_reduce(square)
        norm = square.sqrt()
        self.mine.grad = grad * (self.limit / (norm + 1e-6)).clamp(max=1.0)
        for group in self.adam.param_groups:
            group["lr"] = float(rate)
        self.adam.step()
        self.mine.grad = None
        self._scatter(self._gather(self.mine))
        self.steps += 1
        with torch.no_grad():
            self.ema.lerp_(self.mine.detach(), 1 - min(self.decay, (1 + self.steps) / (10 + self.steps)))
        return norm.item()

    def state_bytes(self):
        """Bytes of optimiser state and EMA on this rank."""
        moments = [v for v in self.adam.state[self.mine].values() if v.dim()]
        return sum(t.numel() * t.element_size() for t in [*moments, self.ema])

    def averaged(self):
        """EMA of every parameter, in order; all ranks must call it."""
        flat, out, at = self._gather(self.ema), [], 0
        for p in self.parameters:
            out.append(flat[at:at + p.numel()].reshape(p.shape).clone())
            at += p.numel()
        return out

    def state_dict(self):
        """State for a checkpoint, whole, so that another number of ranks can continue from it; all ranks must call it."""
        state = self.adam.state[self.mine]
        names = ("exp_avg", "exp_avg_sq")
        whole = {n: self._gather(state[n])[:self.size].clone() for n in names} if state else {}
        return {**whole, "ema": self._gather(self.ema)[:self.size].clone(), "steps": self.steps}

    def load_state_dict(self, saved):
        """Takes this rank's slice of a saved whole; the parameters must have been loaded already."""
        def cut(whole):
            return self._slice(self._flat([whole.to(self.device)]), self.rank).clone()

        with torch.no_grad():
            self.mine.copy_(self._slice(self._flat([p.detach() for p in self.parameters]), self.rank))
        self.ema, self.steps = cut(saved["ema"]), saved["steps"]
        if "exp_avg" in saved:
            step = torch.tensor(float(self.steps))
            self.adam.state[self.mine] = {"step": step, "exp_avg": cut(saved["exp_avg"]), "exp_avg_sq": cut(saved["exp_avg_sq"])}
