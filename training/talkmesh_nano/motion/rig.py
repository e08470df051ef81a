"""The rig (15 numbers a video frame) and its codec to motion latents: one latent frame = 4 video frames.

The codec is linear: each slot of a latent frame holds the whitened principal components of its rig numbers over
4 frames. It is fixed once, in rig_codec.json, made by `python -m talkmesh_nano.motion.fit_codec`.
"""
import json
from pathlib import Path

import numpy as np

FPS = 25
TEMPORAL = 4
NAMES = (
    "mouth_open", "mouth_width", "mouth_round", "mouth_teeth", "smile", "blink", "gaze_x", "gaze_y", "brow",
    "yaw", "pitch", "roll", "shift_x", "shift_y", "breath",
)
INDEX = {name: i for i, name in enumerate(NAMES)}
NEUTRAL = np.float32([0, 0.5, 0, 0, 0.25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
LOW = np.float32([0, 0, 0, 0, -0.1, 0, -1, -1, -1, -1.5, -1.5, -1.5, -2.5, -2.5, -1.2])
HIGH = np.float32([1, 1, 1, 1, 0.9, 1, 1, 1, 1, 1.5, 1.5, 1.5, 2.5, 2.5, 1.2])
SLOTS = (("mouth", slice(0, 5), 16), ("eyes", slice(5, 9), 8), ("pose", slice(9, 15), 8))
CODEC_PATH = Path(__file__).with_name("rig_codec.json")
_codec = None


def load_codec(path=CODEC_PATH):
    """{slot: {"mean" [D], "encode" [K, D], "decode" [D, K]}} float32; D = 4 frames x slot numbers, time-major."""
    raw = json.loads(Path(path).read_text())
    return {name: {k: np.float32(v) for k, v in part.items()} for name, part in raw["slots"].items()}


def codec():
    global _codec
    if _codec is None:
        _codec = load_codec()
    return _codec


def encode_rig(frames):
    """rig [N*4, 15] -> latents [N, 8, 2, 2] float32. Raises ValueError when the frames are not a multiple of 4."""
    frames = np.asarray(frames, np.float32)
    if frames.ndim != 2 or frames.shape[1] != len(NAMES) or len(frames) % TEMPORAL:
        raise ValueError(f"rig frames must be [multiple of {TEMPORAL}, {len(NAMES)}], got {frames.shape}")
    groups = frames.reshape(-1, TEMPORAL, len(NAMES))
    z = {}
    for name, part, _ in SLOTS:
        c = codec()[name]
        z[name] = (groups[:, :, part].reshape(len(groups), -1) - c["mean"]) @ c["encode"].T
    cells = np.stack([z["mouth"][:, 0::2], z["mouth"][:, 1::2], z["eyes"], z["pose"]], 2)
    return np.ascontiguousarray(cells.reshape(-1, 8, 2, 2))


def decode_rig(latents, clip=True):
    """latents [N, 8, 2, 2] -> rig [N*4, 15] float32, clipped to LOW..HIGH unless clip is False."""
    cells = np.asarray(latents, np.float32).reshape(-1, 8, 4)
    mouth = np.empty((len(cells), 16), np.float32)
    mouth[:, 0::2], mouth[:, 1::2] = cells[:, :, 0], cells[:, :, 1]
    z = {"mouth": mouth, "eyes": cells[:, :, 2], "pose": cells[:, :, 3]}
    groups = np.empty((len(cells), TEMPORAL, len(NAMES)), np.float32)
    for name, part, _ in SLOTS:
        c = codec()[name]
        groups[:, :, part] = (z[name] @ c["decode"].T + c["mean"]).reshape(len(cells), TEMPORAL, -1)
    frames = groups.reshape(-1, len(NAMES))
    return np.clip(frames, LOW, HIGH) if clip else frames
