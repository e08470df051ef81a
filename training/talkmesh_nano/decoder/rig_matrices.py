"""The decoder's first step as matrices: latent frames to rig rows, with the previous latent frame easing the border.

The codec keeps 8 of 16 eye and 8 of 24 pose components, each latent frame on its own, which leaves small jumps between
latent frames. The previous latent frame predicts part of what was dropped: a linear correction, fitted on motion tracks.
"""

from __future__ import annotations

import numpy as np

from ..motion.rig import LOW, NAMES, NEUTRAL, TEMPORAL, decode_rig, encode_rig

LATENT = 32
CORRECTED = slice(5, 15)
"""Eyes and pose; the mouth keeps enough components to need no correction."""


def plain_matrix() -> tuple[np.ndarray, np.ndarray]:
    """The codec as rig[60] = latent[32] @ matrix + bias, rows of rig time-major, latent flattened [8, 2, 2]."""
    bias = decode_rig(np.zeros((1, 8, 2, 2), np.float32), clip=False).reshape(-1)
    units = np.eye(LATENT, dtype=np.float32).reshape(LATENT, 8, 2, 2)
    return decode_rig(units, clip=False).reshape(LATENT, -1) - bias, bias


def fit_border(tracks: list[np.ndarray], ridge: float = 3e-3) -> tuple[np.ndarray, np.ndarray]:
    """Correction of the plain decoding from [previous, current] latents: matrix [64, 60] and bias [60].

    tracks: rig rows [n, 15] at 25 fps. Least squares with a ridge, on eyes and pose only.
    """
    inputs, misses = [], []
    for track in tracks:
        frames = track[: len(track) // TEMPORAL * TEMPORAL]
        latents = encode_rig(frames)
        flat = latents.reshape(len(latents), LATENT)
        missing = (frames - decode_rig(latents, clip=False)).reshape(len(latents), -1)
        inputs.append(np.concatenate([flat[:-1], flat[1:]], 1))
        misses.append(missing[1:])
    x, y = np.concatenate(inputs).astype(np.float64), np.concatenate(misses).astype(np.float64)
    mean = y.mean(0)
    matrix = np.linalg.solve(x.T @ x + ridge * len(x) * np.eye(x.shape[1]), x.T @ (y - mean))
    keep = np.zeros((TEMPORAL, len(NAMES)))
    keep[:, CORRECTED] = 1
    return (matrix * keep.reshape(-1)).astype(np.float32), (mean * keep.reshape(-1)).astype(np.float32)


def neutral_latent() -> np.ndarray:
    """Three latent frames of the neutral rig, float32 [3, 8, 2, 2]."""
    return encode_rig(np.tile(NEUTRAL, (3 * TEMPORAL, 1)))


def decode_with_border(latents: np.ndarray, matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Reference for the graph: latents [n, 8, 2, 2] -> unclipped rig [n * 4, 15]; the first frame has no correction."""
    flat = latents.reshape(len(latents), LATENT)
    rig = decode_rig(latents, clip=False).reshape(len(latents), -1)
    rig[1:] += np.concatenate([flat[:-1], flat[1:]], 1) @ matrix + bias
    return rig.reshape(-1, len(LOW))
