"""The two exported graphs: what a reference needs once, and what every chunk of three latent frames needs.

Patches are cut out and put back with small placement matrices, which carry the feathered border and the mirroring of
the right eye, so that no index arithmetic is left in the graphs. Luma and chroma are edited and warped at their own
resolution; RGB never appears.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .decoder_config import DecoderConfig, PatchSize
from .decoder_data import EYE_NUMBERS, MOUTH_NUMBERS, POSE_NUMBERS, columns
from .decoder_net import FlowNet, PatchNet
from .decoder_pixels import BT601, OFFSET
from .decoder_rig import LATENT, plain_matrix
from .decoder_stages import EYE_CENTRE, EYE_SPREAD, MOUTH_CENTRE, MOUTH_SPREAD, POSE_INPUT_SCALE
from .rig import HIGH, LOW, NAMES

SIZE = 256
FRAMES = 12
LATENT_FRAMES = 3
STATE_SHAPE = (9, 2, 2)
REFERENCE_OUTPUTS = (
    "reference_luma",
    "reference_chroma",
    "reference_mouth_patch",
    "reference_mouth_entered",
    "reference_mouth_joined",
    "reference_mouth_whole",
    "reference_eyes_patch",
    "reference_eyes_entered",
    "reference_eyes_joined",
    "reference_eyes_whole",
    "reference_rows",
    "reference_columns",
    "reference_flow",
)


PREPARED = ("patch", "entered", "joined", "whole")


def feather(length: int, width: int) -> Tensor:
    """Weights of a patch along one side: 1 inside, falling towards 0 over `width` pixels at both ends."""
    place = torch.arange(length).float()
    return ((torch.minimum(place, length - 1 - place) + 0.5) / width).clamp(max=1)


def placement(corner: Tensor, length: int, size: int) -> Tensor:
    """[size, length] with ones where pixel `corner + i` of the picture is pixel i of the patch."""
    return (torch.arange(size).float()[:, None] == corner + torch.arange(length).float()[None, :]).float()


def upsampling(coarse: int, fine: int) -> Tensor:
    """Bilinear interpolation (pixel centres aligned, edges repeated) as a matrix [fine, coarse]."""
    return F.interpolate(torch.eye(coarse)[None], size=fine, mode="linear", align_corners=False)[0].T.contiguous()


def halved(matrix: Tensor) -> Tensor:
    """A placement matrix for half the resolution."""
    return matrix.reshape(matrix.shape[0] // 2, 2, matrix.shape[1] // 2, 2).sum((1, 3)) / 2


class ReferenceGraph(nn.Module):
    """image uint8 [256, 256, 3], landmarks [3, 2] -> c0 and the `reference_*` tensors."""

    def __init__(self, config: DecoderConfig, mouth: PatchNet, eyes: PatchNet, flow: FlowNet, c0: np.ndarray) -> None:
        super().__init__()
        self.config, self.mouth, self.eyes, self.flow = config, mouth, eyes, flow
        self.register_buffer("c0", torch.from_numpy(c0))
        self.register_buffer("bt601", torch.tensor(BT601.T, dtype=torch.float32))
        self.register_buffer("offset", torch.tensor(OFFSET, dtype=torch.float32))

    def _corner(self, landmark: Tensor, patch: PatchSize) -> tuple[Tensor, Tensor]:
        left = torch.round((landmark[0] - patch.width / 2) / 2)
        top = torch.round((landmark[1] - patch.above) / 2)
        return left, top

    def forward(self, image: Tensor, landmarks: Tensor) -> tuple[Tensor, ...]:
        yuv = (image.float() @ self.bt601 + self.offset).permute(2, 0, 1)
        luma, chroma = yuv[None, :1], F.avg_pool2d(yuv[None, 1:], 2)
        packed = torch.cat([F.pixel_unshuffle(luma, 2), chroma], 1) / 127.5 - 1
        rows, columns_, patches = [], [], []
        for index, patch in ((0, self.config.mouth_patch), (1, self.config.eye_patch), (2, self.config.eye_patch)):
            left, top = self._corner(landmarks[index], patch)
            row = placement(top, patch.height // 2, SIZE // 2)
            column = placement(left, patch.width // 2, SIZE // 2)
            patches.append(row.T @ packed @ column)
            fine_row, fine_column = placement(2 * top, patch.height, SIZE), placement(2 * left, patch.width, SIZE)
            if index == 2:
                fine_column = fine_column.flip(1)
            rows.append(fine_row * feather(patch.height, patch.feather))
            columns_.append(fine_column * feather(patch.width, patch.feather))
        # mirroring a packed patch swaps its columns and the phases within each pair of columns
        right = patches[2].flip(3)[:, [1, 0, 3, 2, 4, 5]]
        mouth = self.mouth.prepare(patches[0])
        eyes = self.eyes.prepare(torch.cat([patches[1], right]))
        fields = self.flow.flow_fields(packed, landmarks[None])[0] * 0.1
        flow = fields.permute(0, 2, 3, 1).flatten(1)
        return (self.c0 + 0 * landmarks.sum(), luma, chroma, *mouth, *eyes, torch.cat(rows, 1), torch.cat(columns_, 1), flow)


class DecoderGraph(nn.Module):
    """latent [3, 8, 2, 2], state [9, 2, 2] and the reference -> frames uint8 [12, 98304] and the next state.

    The state is the previous latent frame [8, 2, 2] and a plane that is 1 once there is one.
    """

    def __init__(self, config: DecoderConfig, mouth: PatchNet, eyes: PatchNet, flow: FlowNet, border: tuple[np.ndarray, np.ndarray]) -> None:
        super().__init__()
        self.config, self.mouth, self.eyes, self.flow = config, mouth, eyes, flow
        plain, bias = plain_matrix()
        for name, value in (("plain", plain), ("plain_bias", bias), ("border", border[0]), ("border_bias", border[1]), ("low", LOW), ("high", HIGH)):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value)))
        for name, value in (("mouth_centre", MOUTH_CENTRE), ("mouth_spread", MOUTH_SPREAD), ("eye_centre", EYE_CENTRE), ("eye_spread", EYE_SPREAD)):
            self.register_buffer(name, value)
        self.register_buffer("sides", torch.tensor([[[-1.0]], [[1.0]]]).expand(2, FRAMES, 1).contiguous())
        self.register_buffer("mirror", torch.tensor([[1.0] * 5, [1, -1, 1, 1, 1]])[:, None])
        field = config.flow_net.size
        for name, size in (("luma", SIZE), ("chroma", SIZE // 2)):
            up = upsampling(field, size)
            steps = (torch.arange(size) + 0.5) * (2 / size) - 1
            y, x = torch.meshgrid(steps, steps, indexing="ij")
            self.register_buffer(f"{name}_down", up)
            self.register_buffer(f"{name}_across", torch.kron(up.T.contiguous(), torch.eye(2)))
            self.register_buffer(f"{name}_grid", torch.stack([x, y], -1).flatten(1))

    def rig(self, latent: Tensor, state: Tensor) -> Tensor:
        """rig rows [12, 15], clipped to their legal ranges."""
        flat = latent.reshape(LATENT_FRAMES, LATENT)
        previous = torch.cat([state[:8].reshape(1, LATENT), flat[:-1]])
        known = torch.cat([state[8, 0, 0].reshape(1, 1), torch.ones(LATENT_FRAMES - 1, 1)])
        rows = flat @ self.plain + self.plain_bias
        rows = rows + known * (torch.cat([previous, flat], 1) @ self.border + self.border_bias)
        return torch.maximum(torch.minimum(rows.reshape(FRAMES, len(NAMES)), self.high), self.low)

    def _warp(self, picture: Tensor, flow: Tensor, name: str) -> Tensor:
        grid = self.get_buffer(f"{name}_down") @ (flow @ self.get_buffer(f"{name}_across")) + self.get_buffer(f"{name}_grid")
        size = picture.shape[-1]
        return F.grid_sample(picture, grid.reshape(FRAMES, size, size, 2), align_corners=False, padding_mode="border")

    def _edits(self, rig: Tensor, tensors: dict[str, Tensor]) -> list[Tensor]:
        """Packed residuals in bytes: mouth, left eye, right eye (mirrored), each [12, 6, h, w]."""
        mouth = (rig[:, columns(MOUTH_NUMBERS)] - self.mouth_centre) / self.mouth_spread
        eyes = torch.cat([rig[None, :, columns(EYE_NUMBERS)] * self.mirror, self.sides], 2)
        eyes = ((eyes - self.eye_centre) / self.eye_spread).flatten(0, 1)

        def shared(name: str) -> Tensor:
            value = tensors[name]
            return value[:, None].expand(-1, FRAMES, *value.shape[1:]).flatten(0, 1)

        lips = self.mouth.residual(mouth, *(tensors[f"reference_mouth_{part}"] for part in PREPARED))
        lids = self.eyes.residual(eyes, *(shared(f"reference_eyes_{part}") for part in PREPARED))
        return [lips * 127.5, lids[:FRAMES] * 127.5, lids[FRAMES:] * 127.5]

    def forward(self, latent: Tensor, state: Tensor, *reference: Tensor) -> tuple[Tensor, Tensor]:
        tensors = dict(zip(REFERENCE_OUTPUTS, reference))
        rig = self.rig(latent, state)
        luma, chroma = tensors["reference_luma"], tensors["reference_chroma"]
        top, left = 0, 0
        for edit in self._edits(rig, tensors):
            height, width = 2 * edit.shape[2], 2 * edit.shape[3]
            rows = tensors["reference_rows"][:, top : top + height]
            across = tensors["reference_columns"][:, left : left + width].T
            top, left = top + height, left + width
            luma = luma + rows @ (F.pixel_shuffle(edit[:, :4], 2) @ across)
            chroma = chroma + halved(rows) @ (edit[:, 4:] @ halved(across))
        pose = rig[:, columns(POSE_NUMBERS)] / POSE_INPUT_SCALE
        field = self.config.flow_net.size
        flow = (self.flow.blend(pose) @ tensors["reference_flow"]).reshape(FRAMES, field, 2 * field)
        planes = [self._warp(luma, flow, "luma").flatten(1), self._warp(chroma, flow, "chroma").flatten(1)]
        frames = torch.cat([(plane.clamp(0, 255) + 0.5).to(torch.uint8) for plane in planes], 1)
        return frames, torch.cat([latent[-1], torch.ones(1, 2, 2)])
