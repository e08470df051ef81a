"""Losses in rig units: latents decoded inside the graph, so that what the eye sees is what is trained."""
import numpy as np
import torch

from .rig import NAMES, SLOTS, TEMPORAL, codec

# typical size of a frame-to-frame change of each rig number in the training tracks; blink and mouth are left out
_STEP = {"smile": 0.004, "gaze_x": 0.06, "gaze_y": 0.03, "brow": 0.022, "yaw": 0.024, "pitch": 0.022, "roll": 0.017,
         "shift_x": 0.024, "shift_y": 0.017, "breath": 0.055}
SMOOTH = [NAMES.index(n) for n in _STEP]
STEP_SCALE = torch.tensor([_STEP[NAMES[i]] for i in SMOOTH])


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
    """latents [B, N, 3, 8, 2, 2] -> rig [B, 12 N, 15] less the codec's mean (which differences do not need)."""
    flat = latents.reshape(latents.shape[0], -1, 32) @ MATRIX
    return flat.reshape(latents.shape[0], -1, len(NAMES))


def steps(latents):
    """Frame-to-frame changes [B, 12 N - 1, 10] of the slow rig numbers, in typical steps."""
    rig = to_rig(latents)[..., SMOOTH]
    return (rig[:, 1:] - rig[:, :-1]) / STEP_SCALE


def step_loss(guess, truth):
    """Squared error of the changes per sequence [B]; the first chunk (c_0) is taken from the truth."""
    whole = torch.cat([truth[:, :1], guess[:, 1:]], 1)
    return (steps(whole) - steps(truth))[:, 11:].square().clamp(max=100.0).mean((1, 2))


def energy_score(one, two, truth, eps=1e-6):
    """Energy score of two independent samples against the truth over the last axis, averaged: a proper score, least when the
    samples follow the truth's distribution. Inputs [.., D]."""
    def far(a, b):
        return ((a - b).square().sum(-1) + eps).sqrt()

    return (0.5 * (far(one, truth) + far(two, truth)) - 0.5 * far(one, two)).mean()


def windows(latents):
    """Views of a sequence whose joint distribution should match the data: {name: ([.., D], weight)}; c_0 is index 0."""
    batch, count = latents.shape[:2]
    frames = latents.reshape(batch, count * 3, 8, 4)
    slot = {"mouth": frames[..., :2].flatten(-2), "eyes": frames[..., 2], "pose": frames[..., 3]}
    out = {}
    for name, z in slot.items():
        # audio decides the mouth: it is mostly regressed (train_score.match_loss)
        share = 0.3 if name == "mouth" else 1.0
        out[name] = (z[:, 3:], share)
        out[name + "_pair"] = (torch.cat([z[:, 2:-1], z[:, 3:]], -1), 0.7 * share)
    out["pose_long"] = (torch.cat([slot["pose"][:, k:k + count * 3 - 8, :4] for k in (0, 4, 8)], -1), 0.7)
    out["eyes_long"] = (torch.cat([slot["eyes"][:, k:k + count * 3 - 4] for k in (0, 2, 4)], -1), 0.4)
    change = steps(latents)[:, 11:]
    edge = change[:, 0::4]
    # a boundary's change beside the changes within the latent frames around it
    out["edge"] = (edge, 0.5)
    out["bend"] = (torch.cat([edge[:, 1:] - change[:, 3::4][:, : edge.shape[1] - 1], edge[:, 1:] - change[:, 5::4][:, : edge.shape[1] - 1]], -1), 0.3)
    return out


def distribution_loss(one, two, truth):
    """Sum of energy scores over the windows of `windows`."""
    a, b, y = windows(one), windows(two), windows(truth)
    return sum(weight * energy_score(a[name][0], b[name][0], y[name][0]) / y[name][0].shape[-1] ** 0.5 for name, (_, weight) in a.items())
