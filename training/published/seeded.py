"""Random numbers that libs/inference/src/score/noise.ts also computes: Philox4x32-10, then Box-Muller."""
import numpy as np
import torch

LOW = np.uint64(0xFFFFFFFF)


def noise(seed, chunk, step, count):
    """`count` samples of the standard normal distribution, float32; `chunk` is -1 or more."""
    blocks = -(-count // 4)
    c = [np.arange(blocks, dtype=np.uint64), *(np.full(blocks, n, np.uint64) for n in (chunk + 1, step, 0))]
    k0, k1 = seed % 2**32, seed // 2**32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        high0, high1 = p0 >> np.uint64(32), p1 >> np.uint64(32)
        c = [high1 ^ c[1] ^ np.uint64(k0), p1 & LOW, high0 ^ c[3] ^ np.uint64(k1), p0 & LOW]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    u = (np.stack(c, 1).astype(np.float64) + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(u[:, [0, 2]])), 2 * np.pi * u[:, [1, 3]]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 2)
    return pairs.reshape(-1)[:count].astype(np.float32)


def tensor(seed, chunk, step, *dims):
    return torch.from_numpy(noise(seed, chunk, step, int(np.prod(dims))).reshape(dims))


def fill(module, seed):
    """Gives every parameter random values that keep the signal's size: one stream per tensor, in the order of the names."""
    state = dict(module.named_parameters())
    for stream, name in enumerate(sorted(state)):
        parameter = state[name]
        parameter.data.copy_(tensor(seed, stream, 0, *parameter.shape) * np.float32(gain(name, parameter.shape)) + offset(name))
    return module.eval()


def is_norm(name):
    return ("norm" in name and name.endswith("weight")) or name.endswith("gamma")


def gain(name, dims):
    if is_norm(name):
        return 0.2
    wide = [dim for dim in dims if dim > 1]
    if name.endswith("bias") or len(wide) < 2:
        return 0.1
    return float(np.prod(wide[1:])) ** -0.5


def offset(name):
    return 1.0 if is_norm(name) else 0.0
