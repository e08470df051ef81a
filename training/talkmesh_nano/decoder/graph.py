"""The two exported graphs: one runs once for a reference picture, one for every chunk of latent frames (three by default).

The decoder's graph ends with edits (feathered residuals of the patches, mirrored back) and flow fields. Pasting and
warping are left to the runtime: as ONNX operators they cost more than the networks (GridSample is not vectorised).
`Composer` is what the runtime must do, in PyTorch. Luma and chroma are edited and warped at their own resolution; RGB
never appears.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..motion.rig import HIGH, LOW, NAMES
from .config import DecoderConfig, PatchSize
from .data import EYE_NUMBERS, MOUTH_NUMBERS, POSE_NUMBERS, columns
from .net import FlowNet, PatchNet
from .pixels import BT601, OFFSET
from .rig_matrices import LATENT, plain_matrix
from .stages import EYE_CENTRE, EYE_SPREAD, MOUTH_CENTRE, MOUTH_SPREAD, POSE_INPUT_SCALE

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
    "reference_corners",
    "reference_flow",
)
DECODER_OUTPUTS = ("edit_mouth", "edit_left", "edit_right", "flow", "state_out")
DECODER_INPUTS = tuple(name for name in REFERENCE_OUTPUTS if name not in ("reference_luma", "reference_chroma", "reference_corners"))
"""Outputs of the reference graph that the decoder's graph takes; the composer takes the others."""


PREPARED = ("patch", "entered", "joined", "whole")


def feather(length: int, width: int) -> Tensor:
    """Weights of a patch along one side: 1 inside, falling towards 0 over `width` pixels at both ends."""
    place = torch.arange(length).float()
    return ((torch.minimum(place, length - 1 - place) + 0.5) / width).clamp(max=1)


def packed_feather(patch: PatchSize) -> Tensor:
    """Weights [6, h/2, w/2] of a packed patch; chroma gets the mean of its four pixels."""
    weights = feather(patch.height, patch.feather)[:, None] * feather(patch.width, patch.feather)
    fine = F.pixel_unshuffle(weights[None], 2)
    return torch.cat([fine, fine.mean(0, keepdim=True).expand(2, -1, -1)])


def placement(corner: Tensor, length: int, size: int) -> Tensor:
    """[size, length] with ones where pixel `corner + i` of the picture is pixel i of the patch."""
    return (torch.arange(size).float()[:, None] == corner + torch.arange(length).float()[None, :]).float()


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
        corners, patches = [], []
        for index, patch in ((0, self.config.mouth_patch), (1, self.config.eye_patch), (2, self.config.eye_patch)):
            left, top = self._corner(landmarks[index], patch)
            row = placement(top, patch.height // 2, SIZE // 2)
            column = placement(left, patch.width // 2, SIZE // 2)
            patches.append(row.T @ packed @ column)
            corners.append(torch.stack([left, top]))
        right = mirrored(patches[2])
        mouth = self.mouth.prepare(patches[0])
        eyes = self.eyes.prepare(torch.cat([patches[1], right]))
        fields = self.flow.flow_fields(packed, landmarks[None])[0] * 0.1
        flow = fields.permute(0, 2, 3, 1).flatten(1)
        return (self.c0 + 0 * landmarks.sum(), luma, chroma, *mouth, *eyes, torch.stack(corners), flow)


def mirrored(packed: Tensor) -> Tensor:
    """A packed patch [..., 6, h, w] mirrored: columns swap, and the phases within each pair of columns."""
    return packed.flip(-1)[..., [1, 0, 3, 2, 4, 5], :, :]


class DecoderGraph(nn.Module):
    """latent [F, 8, 2, 2], state [9, 2, 2] and DECODER_INPUTS -> edits, flow and the next state.

    Edits are packed residuals in bytes, [4 F, 6, h, w] for the patches at `reference_corners`; flow [4 F, s, s, 2] is in
    pixels of luma, x first. The state is the previous latent frame [8, 2, 2] and a plane that is 1 once there is one.
    """

    def __init__(self, config: DecoderConfig, mouth: PatchNet, eyes: PatchNet, flow: FlowNet, border: tuple[np.ndarray, np.ndarray], latent_frames: int = LATENT_FRAMES) -> None:
        super().__init__()
        self.config, self.mouth, self.eyes, self.flow = config, mouth, eyes, flow
        self.latent_frames, self.frames = latent_frames, latent_frames * FRAMES // LATENT_FRAMES
        plain, bias = plain_matrix()
        for name, value in (("plain", plain), ("plain_bias", bias), ("border", border[0]), ("border_bias", border[1]), ("low", LOW), ("high", HIGH)):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value)))
        for name, value in (("mouth_centre", MOUTH_CENTRE), ("mouth_spread", MOUTH_SPREAD), ("eye_centre", EYE_CENTRE), ("eye_spread", EYE_SPREAD)):
            self.register_buffer(name, value)
        self.register_buffer("sides", torch.tensor([[[-1.0]], [[1.0]]]).expand(2, self.frames, 1).contiguous())
        self.register_buffer("mirror", torch.tensor([[1.0] * 5, [1, -1, 1, 1, 1]])[:, None])
        self.register_buffer("mouth_fade", packed_feather(config.mouth_patch) * 127.5)
        self.register_buffer("eye_fade", packed_feather(config.eye_patch) * 127.5)

    def rig(self, latent: Tensor, state: Tensor) -> Tensor:
        """rig rows [4 F, 15], clipped to their legal ranges."""
        flat = latent.reshape(self.latent_frames, LATENT)
        previous = torch.cat([state[:8].reshape(1, LATENT), flat[:-1]])
        known = torch.cat([state[8, 0, 0].reshape(1, 1), torch.ones(self.latent_frames - 1, 1)])
        rows = flat @ self.plain + self.plain_bias
        rows = rows + known * (torch.cat([previous, flat], 1) @ self.border + self.border_bias)
        return torch.maximum(torch.minimum(rows.reshape(self.frames, len(NAMES)), self.high), self.low)

    def _edits(self, rig: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        mouth = (rig[:, columns(MOUTH_NUMBERS)] - self.mouth_centre) / self.mouth_spread
        eyes = torch.cat([rig[None, :, columns(EYE_NUMBERS)] * self.mirror, self.sides], 2)
        eyes = ((eyes - self.eye_centre) / self.eye_spread).flatten(0, 1)

        def shared(name: str) -> Tensor:
            value = tensors[name]
            return value[:, None].expand(-1, self.frames, *value.shape[1:]).flatten(0, 1)

        lips = self.mouth.residual(mouth, *(tensors[f"reference_mouth_{part}"] for part in PREPARED))
        lids = self.eyes.residual(eyes, *(shared(f"reference_eyes_{part}") for part in PREPARED)) * self.eye_fade
        return lips * self.mouth_fade, lids[:self.frames], mirrored(lids[self.frames:])

    def forward(self, latent: Tensor, state: Tensor, *reference: Tensor) -> tuple[Tensor, ...]:
        tensors = dict(zip(DECODER_INPUTS, reference))
        rig = self.rig(latent, state)
        pose = rig[:, columns(POSE_NUMBERS)] / POSE_INPUT_SCALE
        field = self.config.flow_net.final_size
        flow = (self.flow.blend(pose) @ tensors["reference_flow"]).reshape(self.frames, field, field, 2) * (SIZE / 2)
        return (*self._edits(rig, tensors), flow, torch.cat([latent[-1], torch.ones(1, 2, 2)]))


class Composer(nn.Module):
    """Reference, edits and flow -> frames uint8 [n, 98304]: what the runtime does after the decoder's graph."""

    def _warp(self, picture: Tensor, flow: Tensor) -> Tensor:
        size = picture.shape[-1]
        fine = F.interpolate(flow.permute(0, 3, 1, 2) * (2 / SIZE), size=(size, size), mode="bilinear", align_corners=False)
        steps = (torch.arange(size) + 0.5) * (2 / size) - 1
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        grid = fine.permute(0, 2, 3, 1) + torch.stack([x, y], -1)
        return F.grid_sample(picture, grid, align_corners=False, padding_mode="border")

    def forward(self, luma: Tensor, chroma: Tensor, corners: Tensor, edits: tuple[Tensor, ...], flow: Tensor) -> Tensor:
        """luma [1, 1, 256, 256], chroma [1, 2, 128, 128] in bytes, corners [k, 2] (x, y in chroma pixels), k edits."""
        luma, chroma = luma.repeat(len(flow), 1, 1, 1), chroma.repeat(len(flow), 1, 1, 1)
        for (left, top), edit in zip(corners.long().tolist(), edits):
            for picture, part in ((luma, F.pixel_shuffle(edit[:, :4], 2)), (chroma, edit[:, 4:])):
                scale = picture.shape[-1] * 2 // SIZE
                height, width = part.shape[2:]
                picture[:, :, top * scale : top * scale + height, left * scale : left * scale + width] += part
        planes = [self._warp(luma, flow).flatten(1), self._warp(chroma, flow).flatten(1)]
        return torch.cat([(plane.clamp(0, 255) + 0.5).to(torch.uint8) for plane in planes], 1)


def decode_chunk(decoder: DecoderGraph, latent: Tensor, state: Tensor, reference: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The whole decoder: REFERENCE_OUTPUTS in, frames uint8 [12, 98304] and the next state out."""
    tensors = dict(zip(REFERENCE_OUTPUTS, reference))
    *edits, flow, state = decoder(latent, state, *(tensors[name] for name in DECODER_INPUTS))
    picture = (tensors[f"reference_{name}"] for name in ("luma", "chroma", "corners"))
    return Composer()(*picture, tuple(edits), flow), state
