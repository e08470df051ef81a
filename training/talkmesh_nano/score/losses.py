"""Losses in rig units: latents decoded inside the graph, so that errors count as they are visible."""
import numpy as np
import torch

from ..motion.rig import NAMES, SLOTS, TEMPORAL, codec

# typical size of a frame-to-frame change of each rig number in the training tracks; blink and mouth are left out
_STEP = {"smile": 0.004, "gaze_x": 0.06, "gaze_y": 0.03, "brow": 0.022, "yaw": 0.024, "pitch": 0.022, "roll": 0.017,
         "shift_x": 0.024, "shift_y": 0.017, "breath": 0.055}
SMOOTH = torch.tensor([NAMES.index(n) for n in _STEP])
CLOSED_ENOUGH = 0.05
STEP_SCALE = torch.tensor(list(_STEP.values()))


def decoding_matrix():
    """[32, 4 * 15]: a latent frame's flat [8, 2, 2] times this is its rig, time-major, less the codec's mean."""
    matrix = np.zeros((8, 4, TEMPORAL, len(NAMES)), np.float32)
    for name, part, count in SLOTS:
        decode = codec()[name]["decode"].reshape(TEMPORAL, -1, count)
        for k in range(count):
            cell, channel = {"mouth": (k % 2, k // 2), "eyes": (2, k), "pose": (3, k)}[name]
            matrix[channel, cell, :, part] = decode[:, :, k]
    return torch.from_numpy(matrix.reshape(32, -1))


MATRIX = decoding_matrix()


def to_rig(latents):
    """latents [B, N, F, 8, 2, 2] -> rig [B, 4 N F, 15] less the codec's mean (which differences do not need)."""
    flat = latents.reshape(latents.shape[0], -1, 32) @ MATRIX.to(latents.device)
    return flat.reshape(latents.shape[0], -1, len(NAMES))


def steps(latents):
    """Frame-to-frame changes [B, 4 N F - 1, 10] of the slow rig numbers, in typical steps."""
    rig = to_rig(latents).index_select(-1, SMOOTH.to(latents.device))
    return (rig[:, 1:] - rig[:, :-1]) / STEP_SCALE.to(rig.device)


def step_loss(guess, truth):
    """Squared error of the changes per sequence [B]; the first chunk (c_0) is taken from the truth."""
    whole = torch.cat([truth[:, :1], guess[:, 1:]], 1)
    return (steps(whole) - steps(truth))[:, 4 * truth.shape[2] - 1:].square().clamp(max=100.0).mean((1, 2))


def lips_loss(guess, truth, closed, extra=12.0, hinge=0.0):
    """Squared error of the four mouth numbers in rig units; the opening of frames with m, b or p weighs 1 + extra.

    guess, truth [B, N, F, 8, 2, 2]; closed bool [B, 4 N F]. Lips that stay apart in a closed consonant are noticed at once, yet those frames are few.
    hinge: weight of what these frames are open beyond CLOSED_ENOUGH; unlike a square it pulls as hard near the goal as far from it.
    """
    apart = (to_rig(guess) - to_rig(truth))[..., :4]
    error = apart.square()
    weight = torch.ones_like(error) * error.new_tensor([2.0, 1.0, 1.0, 1.0])
    weight[..., 0] = weight[..., 0] * (1 + extra * closed)
    over = (apart[..., 0] - CLOSED_ENOUGH).clamp(min=0) * closed
    return (error * weight).mean() + hinge * over.mean() / 4
