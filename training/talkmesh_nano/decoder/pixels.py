"""The decoder's picture format: I420 packed at half resolution, 6 channels = 4 luma phases (row-major) and U, V.

BT.601 limited range, chroma is the mean of 2x2 pixels. Values are bytes scaled to -1..1.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

# rows Y, U, V for RGB 0..255 (ITU-R BT.601-7, scaled to 16..235 and 16..240)
BT601 = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255.0
OFFSET = np.array([16.0, 128.0, 128.0])


def _ycbcr(picture: np.ndarray) -> np.ndarray:
    """RGB uint8 [h, w, 3] -> Y, Cb, Cr as float32 [h, w, 3], not rounded."""
    return picture.astype(np.float32) @ BT601.T.astype(np.float32) + OFFSET.astype(np.float32)


def pack(picture: np.ndarray) -> np.ndarray:
    """RGB uint8 [h, w, 3] with even sides -> packed uint8 [6, h/2, w/2]."""
    height, width = picture.shape[:2]
    cells = _ycbcr(picture).reshape(height // 2, 2, width // 2, 2, 3)
    luma = cells[..., 0].transpose(1, 3, 0, 2).reshape(4, height // 2, width // 2)
    chroma = cells[..., 1:].mean((1, 3)).transpose(2, 0, 1)
    return np.concatenate([luma, chroma]).round().clip(0, 255).astype(np.uint8)


def to_i420(picture: np.ndarray) -> np.ndarray:
    """RGB uint8 [h, w, 3] with even sides -> I420 bytes [h * w * 3 / 2], rounded as the decoder graph rounds."""
    height, width = picture.shape[:2]
    yuv = _ycbcr(picture)
    chroma = yuv[..., 1:].reshape(height // 2, 2, width // 2, 2, 2).mean((1, 3)).transpose(2, 0, 1)
    planes = np.concatenate([yuv[..., 0].ravel(), chroma.ravel()])
    return (planes.clip(0, 255) + 0.5).astype(np.uint8)


def to_float(packed: torch.Tensor) -> torch.Tensor:
    return packed.float() / 127.5 - 1


def luma(packed: torch.Tensor) -> torch.Tensor:
    """Packed [B, 6, h, w] -> luma [B, 1, 2h, 2w]."""
    return F.pixel_shuffle(packed[:, :4], 2)


def to_rgb(packed: torch.Tensor) -> torch.Tensor:
    """Packed -1..1 [B, 6, h, w] -> RGB 0..1 [B, 3, 2h, 2w], chroma repeated."""
    chroma = F.interpolate(packed[:, 4:], scale_factor=2, mode="nearest")
    yuv = (torch.cat([luma(packed), chroma], 1) + 1) * 127.5
    inverse = torch.tensor(np.linalg.inv(BT601), dtype=torch.float32, device=packed.device) / 255
    offset = torch.tensor(OFFSET, dtype=torch.float32, device=packed.device)[:, None, None]
    return torch.einsum("ij,bjhw->bihw", inverse, yuv - offset).clamp(0, 1)


def i420_to_rgb(frames: np.ndarray, size: int = 256) -> np.ndarray:
    """I420 uint8 [n, size*size*3/2] -> RGB uint8 [n, size, size, 3]."""
    count, area, half = len(frames), size * size, size // 2
    chroma = frames[:, area:].reshape(count, 2, half, half).repeat(2, 2).repeat(2, 3)
    yuv = np.concatenate([frames[:, :area].reshape(count, 1, size, size), chroma], 1).astype(np.float32)
    rgb = np.einsum("ij,bjhw->bhwi", np.linalg.inv(BT601), yuv - OFFSET[:, None, None])
    return rgb.round().clip(0, 255).astype(np.uint8)
