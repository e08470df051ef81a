"""Gives the student's motion the spread of the data: one-dimensional distributions of eyes and pose, along many directions, are moved onto the data's.

DMD transfers only what the teacher has, and a teacher of a few hundred steps moves less than its data. This is a sliced Wasserstein distance to the
data itself, with two additions: visible directions (each rig number of each frame) beside random ones, and a memory of the last two or three
updates' outputs, because a batch is small and its frames belong together. A memory of twenty updates lags behind the student and makes it swing.
"""
import numpy as np
import torch

from ..motion.rig import TEMPORAL, codec, encode_rig

LEVELS, MEMORY, RANDOM = 1024, 256, 24


def windows(latents):
    """Two latent frames side by side: {slot: [.., n - 1, 16]} of latents [.., n, 8, 2, 2]."""
    cells = latents.flatten(-2)
    slots = {"eyes": cells[..., 2], "pose": cells[..., 3]}
    return {name: torch.cat([z[..., :-1, :], z[..., 1:, :]], -1) for name, z in slots.items()}


class Spread:
    """Quantiles of the data along fixed directions. `settled` latent frames after c_0 are left out: they still carry the neutral start."""

    def __init__(self, rigs, settled=7, seed=3, device="cpu"):
        """rigs [n, frames, 15] of the training material; `loss` is for latents on `device`."""
        self.settled, rng = settled, np.random.default_rng(seed)
        frames = rigs.shape[1] // TEMPORAL * TEMPORAL
        latents = torch.from_numpy(np.stack([encode_rig(r[:frames]) for r in rigs]))
        self.directions, self.quantiles, self.memory = {}, {}, {}
        for name, rows in windows(latents).items():
            visible = codec()[name]["decode"]
            count = len(visible) // TEMPORAL
            # the change from the last video frame of one latent frame to the first of the next: if it is too large, it is visible as a jerk
            edge = np.concatenate([-visible[-count:], visible[:count]], 1)
            drawn = rng.standard_normal((RANDOM, 16)).astype(np.float32)
            directions = np.concatenate([np.pad(visible, ((0, 0), (0, 8))), edge, edge, drawn]).T
            values = rows.reshape(-1, 16).numpy() @ directions
            scale = values.std(0)
            self.directions[name] = torch.from_numpy(directions / scale).to(device)
            levels = (np.arange(LEVELS) + 0.5) / LEVELS
            self.quantiles[name] = torch.from_numpy(np.quantile(values / scale, levels, axis=0).astype(np.float32)).to(device)
            self.memory[name] = torch.zeros(0, directions.shape[1], device=device)

    def loss(self, made):
        """Mean squared distance, in standard deviations, of generated latents [B, N, F, 8, 2, 2] from the data's quantiles at the same ranks."""
        total = torch.zeros((), device=made.device)
        for name, rows in windows(made.flatten(1, 2)[:, self.settled:]).items():
            values = rows.reshape(-1, 16) @ self.directions[name]
            pool = torch.cat([values.detach(), self.memory[name]])
            ranks = pool.argsort(0).argsort(0)[:len(values)]
            level = (ranks * LEVELS).div(len(pool), rounding_mode="floor")
            total = total + (values - self.quantiles[name].gather(0, level)).square().mean()
            self.memory[name] = pool[:MEMORY]
        return total
