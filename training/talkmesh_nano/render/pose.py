"""Head pose: where every layer of an avatar lies in a pose, and the flow from a posed picture back to the reference.

Coordinates are design units (512 a side); the picture shows the square that starts at PICTURE_LEFT, PICTURE_TOP.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from ..motion.rig import INDEX

PICTURE_LEFT, PICTURE_TOP, PICTURE_EXTENT = 51.0, 26.0, 410.0
PICTURE_SIZE = 256
MARGIN = 16
CANVAS_SIZE = PICTURE_SIZE + 2 * MARGIN
SCALE = PICTURE_SIZE / PICTURE_EXTENT
CANVAS_LEFT, CANVAS_TOP = PICTURE_LEFT - MARGIN / SCALE, PICTURE_TOP - MARGIN / SCALE
CANVAS_EXTENT = CANVAS_SIZE / SCALE

LAYERS = ("behind", "body", "head", "front")
NECK_X, NECK_Y = 256.0, 392.0
FACE_PARALLAX_X, FACE_PARALLAX_Y = 14.0, 9.0


def design_grid(size: int, device: torch.device | None = None) -> torch.Tensor:
    """Design coordinates [size, size, 2] of the centres of a picture of `size` pixels."""
    steps = (torch.arange(size, device=device) + 0.5) / size * PICTURE_EXTENT
    y, x = torch.meshgrid(steps + PICTURE_TOP, steps + PICTURE_LEFT, indexing="ij")
    return torch.stack([x, y], -1)


def layer_sources(rig: torch.Tensor, geometry: torch.Tensor, size: int) -> torch.Tensor:
    """The place in each layer that each picture pixel shows: design coordinates [B, 4, size, size, 2].

    rig [B, 15]; geometry [B, 4]: face half width, face half height, mouth y, jaw drop at full opening (design units).
    """
    grid = design_grid(size, rig.device)[None].expand(len(rig), -1, -1, -1)

    def number(name: str) -> torch.Tensor:
        return rig[:, INDEX[name], None, None]

    yaw, pitch = number("yaw"), number("pitch")
    angle = number("roll") * math.radians(6)
    zoom = 1 + 0.012 * pitch
    dx = yaw * 13 + number("shift_x") * 4
    dy = pitch * 8 + number("shift_y") * 2.5 - 2.5 * number("breath")
    x, y = grid[..., 0] - NECK_X - dx, grid[..., 1] - NECK_Y - dy
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    head_x, head_y = NECK_X + cos * x + sin * y, NECK_Y - sin * x + cos * y
    behind = torch.stack([head_x + yaw * 6, head_y + pitch * 4], -1)
    front = torch.stack([head_x - yaw * 5, head_y - pitch * 3], -1)
    head = _face_sources(head_x, head_y, rig, geometry)
    stretch = 1 + 0.012 * number("breath")
    body = torch.stack([grid[..., 0] - 2 * number("shift_x"), 512 + (grid[..., 1] - 512) / stretch], -1)
    return torch.stack([behind, body, head, front], 1)


def _face_sources(x: torch.Tensor, y: torch.Tensor, rig: torch.Tensor, geometry: torch.Tensor) -> torch.Tensor:
    """Within the head the middle of the face moves more than its edge, and the chin follows the opening mouth."""
    half_width, half_height, mouth_y, jaw_drop = (geometry[:, i, None, None] for i in range(4))
    across, along = (x - 256) / half_width, (y - 228) / half_height
    bulge = (1 - across**2 - along**2).clamp(min=0)
    chin = ((y - mouth_y + 8) / (228 + half_height - mouth_y)).clamp(0, 1)
    jaw = chin * chin * (3 - 2 * chin) * (1 - across**2).clamp(min=0)
    yaw, pitch = rig[:, INDEX["yaw"], None, None], rig[:, INDEX["pitch"], None, None]
    opening = rig[:, INDEX["mouth_open"], None, None]
    return torch.stack([x - FACE_PARALLAX_X * yaw * bulge, y - FACE_PARALLAX_Y * pitch * bulge - jaw_drop * opening * jaw], -1)


def to_canvas(points: torch.Tensor) -> torch.Tensor:
    """Design coordinates -> grid_sample coordinates on the layer canvas."""
    scale = 2 / CANVAS_EXTENT
    return points * scale + torch.tensor([-CANVAS_LEFT * scale - 1, -CANVAS_TOP * scale - 1], device=points.device)


def to_picture(points: torch.Tensor) -> torch.Tensor:
    """Design coordinates -> grid_sample coordinates on the picture."""
    return (points - torch.tensor([PICTURE_LEFT, PICTURE_TOP], device=points.device)) * (2 / PICTURE_EXTENT) - 1


def sample_layers(layers: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
    """layers [B, 4, C, H, W] on the canvas, sources [B, 4, h, w, 2] in design units -> [B, 4, C, h, w], zero outside."""
    warped = F.grid_sample(layers.flatten(0, 1), to_canvas(sources).flatten(0, 1), align_corners=False)
    return warped.unflatten(0, layers.shape[:2])


def visibility(alpha: torch.Tensor) -> torch.Tensor:
    """How much of each of the 4 layers, and last of the backdrop, is visible: alpha [B, 4, h, w] -> [B, 5, h, w]."""
    visible, left = [], torch.ones_like(alpha[:, 0])
    for layer in reversed(range(alpha.shape[1])):
        visible.append(alpha[:, layer] * left)
        left = left * (1 - alpha[:, layer])
    return torch.stack([*reversed(visible), left], 1)


def true_flow(alpha: torch.Tensor, rig: torch.Tensor, geometry: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Offsets from picture pixels to where the reference shows the same thing, and the reliability of each.

    alpha [B, 4, H, W]: opacity of the layers on the canvas. Returns flow [B, 2, size, size] in grid_sample units (2 = the
    picture's width) and weight [B, size, size] 0..1, which is 0 where the reference hides what the pose reveals.
    """
    sources = layer_sources(rig, geometry, size)
    here = design_grid(size, rig.device).expand(len(rig), 1, -1, -1, -1)
    seen_now = visibility(sample_layers(alpha[:, :, None], sources)[:, :, 0])
    all_sources = torch.cat([sources, here], 1)
    seen_reference = visibility(alpha)
    there = F.grid_sample(seen_reference.flatten(0, 1)[:, None], to_canvas(all_sources).flatten(0, 1), align_corners=False)
    weight = seen_now * there[:, 0].unflatten(0, seen_now.shape[:2])
    total = weight.sum(1)
    offset = ((all_sources - here) * weight[..., None]).sum(1) / total.clamp(min=1e-4)[..., None]
    return offset.permute(0, 3, 1, 2) * (2 / PICTURE_EXTENT), total
