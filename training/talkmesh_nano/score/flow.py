"""Flow matching and roll-outs of the score model: x_t = (1 - t) x0 + t noise, sampled with Euler steps from t = 1."""
import numpy as np
import torch

from .losses import step_loss

# noise levels of the students, by number of steps; 0 is the end
SCHEDULES = {2: (1.0, 0.6, 0.0), 4: (1.0, 0.85, 0.6, 0.3, 0.0)}
# a teacher's samples pass through every level of every student, with two evaluations a step: Euler steps of this size would lose a
# seventh of the spread of Gaussian data of unit variance, Heun steps lose a hundredth
TEACHER_TIMES = (1.0, 0.85, 0.72, 0.6, 0.45, 0.3, 0.15, 0.0)


def noise_like(x, rngs):
    """Standard normal noise of x's shape, each sequence from its own generator, on the device of x."""
    return torch.from_numpy(np.stack([rng.standard_normal(x.shape[1:], np.float32) for rng in rngs])).to(x.device)


def mixed(x0, noise, t):
    """x_t for t [B] or a number."""
    t = t.reshape(-1, 1, 1, 1, 1, 1) if torch.is_tensor(t) else t
    return (1 - t) * x0 + t * noise


def flow_error(model, x0, audio, rngs, look_ahead, use_audio=True):
    """(x0 estimate at random levels, weight of each sequence [B]): squared velocity errors, their 1 / t^2 bounded."""
    levels = [1.0 if rng.random() < 0.1 else 1 / (1 + np.exp(-1.2 * rng.standard_normal() - 0.6)) for rng in rngs]
    t = torch.tensor(levels, dtype=torch.float32, device=x0.device)
    return model(mixed(x0, noise_like(x0, rngs), t), audio, t, look_ahead, use_audio), 1.0 / (t.square() + 0.1)


def flow_loss(model, x0, audio, rngs, weights, look_ahead, use_audio=True):
    """Flow matching with x0 prediction; c_0 is given, so it has no loss. Returns (loss, numbers for the curve)."""
    guess, share = flow_error(model, x0, audio, rngs, look_ahead, use_audio)
    error = (guess - x0)[:, 1:].square() * weights
    jerk = step_loss(guess, x0)
    cells = error.detach().mean((0, 1, 2, 3)).flatten()
    values = {"mouth": cells[:2].mean().item(), "eyes": cells[2].item(), "pose": cells[3].item(), "jerk": jerk.mean().item()}
    return ((error.flatten(1).mean(1) + 0.05 * jerk) * share).mean(), values


def sample(model, noise, c0, audio, times, look_ahead=False, heun=False):
    """Roll-out of whole sequences with contexts at equal noise levels: noise [B, 1+N, ...], c_0 known.

    Returns the states at `times[1:]`; the last is the x0 estimate. With Euler steps and no look-ahead this is what the score service computes.
    """
    def slope(x, now):
        x = torch.cat([mixed(c0, noise[:, :1], now), x[:, 1:]], 1)
        return (x - model(x, audio, torch.full((len(x),), now, device=x.device), look_ahead)) / now

    x, states = noise, []
    for now, after in zip(times[:-1], times[1:]):
        first = slope(x, now)
        ahead = x + (after - now) * first
        x = x + (after - now) * (first + slope(ahead, after)) / 2 if heun and after > 0 else ahead
        states.append(x)
    return states
