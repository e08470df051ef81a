"""Writes reference.onnx and decoder.onnx from the checkpoints: python3 -m talkmesh_nano.decoder.export --out DIR [--config FILE].

Also writes the avatars' pictures and avatars.json, and decoder.json with the shapes a manifest needs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..export.onnx_files import write_onnx
from ..motion.rig import NEUTRAL
from ..motion.tracks import rig_track
from ..render.avatar import Avatar
from ..render.avatars import SHIPPED, designed
from .config import DecoderConfig, load
from .data import POSE_NUMBERS
from .graph import DECODER_INPUTS, DECODER_OUTPUTS, LATENT_FRAMES, REFERENCE_OUTPUTS, SIZE, STATE_SHAPE, DecoderGraph, ReferenceGraph
from .net import FlowNet, PatchNet
from .rig_matrices import fit_border, neutral_latent

# constants with fewer numbers stay float32
LEAST_HALVED = 2048
QUANTISED = "decoder-int8.onnx"
# video that the runtime makes of the same edits and flow, as multiples of the decoder's size, and what a chunk of it costs
SIZES = [{"scale": 2, "cost": 2.1}]


def fresh_nets(config: DecoderConfig) -> dict[str, nn.Module]:
    return {
        "mouth": PatchNet(config.mouth_net, config.mouth_patch),
        "eyes": PatchNet(config.eye_net, config.eye_patch),
        "flow": FlowNet(config.flow_net, len(POSE_NUMBERS)),
    }


def load_nets(config: DecoderConfig, trained: bool = True) -> tuple[PatchNet, PatchNet, FlowNet]:
    """Mouth, eyes and flow with the averaged weights of their checkpoints, or fresh ones when `trained` is False."""
    nets = fresh_nets(config)
    for name, net in nets.items():
        if trained:
            net.load_state_dict(blended(config, name))
        net.eval().requires_grad_(False)
    return nets["mouth"], nets["eyes"], nets["flow"]  # type: ignore[return-value]


def blended(config: DecoderConfig, name: str) -> dict[str, torch.Tensor]:
    """Averaged weights of a stage; those of a tuning run are mixed with what it started from, as configured."""
    weights = torch.load(config.trained(name), map_location="cpu")["average"]
    share = getattr(config, name).blend
    if share == 1 or config.trained(name) != config.checkpoint(name):
        return weights
    before = torch.load(Path(config.folder) / config.checkpoint(name).name, map_location="cpu")["average"]
    return {key: value * share + before[key] * (1 - share) for key, value in weights.items()}


def motion_tracks(seed: int, count: int = 24, frames: int = 2000) -> list[np.ndarray]:
    """Rig tracks of eyes and head for a made-up loudness, for fitting the border correction."""
    rng = np.random.default_rng(seed)
    tracks = []
    for _ in range(count):
        loudness = np.abs(np.convolve(rng.standard_normal(frames + 20), np.hanning(21) / 4, "valid"))[:frames].clip(0, 1)
        tracks.append(rig_track(rng, np.tile(NEUTRAL[:4], (frames, 1)), loudness.astype(np.float32)))
    return tracks


def build_graphs(config: DecoderConfig, trained: bool = True, latent_frames: int = LATENT_FRAMES) -> tuple[ReferenceGraph, DecoderGraph]:
    mouth, eyes, flow = load_nets(config, trained)
    border = fit_border(motion_tracks(config.seed))
    c0 = np.tile(neutral_latent()[:1], (latent_frames, 1, 1, 1))
    return ReferenceGraph(config, mouth, eyes, flow, c0).eval(), DecoderGraph(config, mouth, eyes, flow, border, latent_frames).eval()


def export_graphs(reference: ReferenceGraph, decoder: DecoderGraph, out: Path) -> dict[str, object]:
    """Write both files; returns the shapes for the manifest."""
    out.mkdir(parents=True, exist_ok=True)
    image, landmarks = torch.full((256, 256, 3), 90, dtype=torch.uint8), torch.tensor([[128.0, 170.0], [100.0, 120.0], [156.0, 120.0]])
    with torch.no_grad():
        tensors = reference(image, landmarks)
    names = ["c0", *REFERENCE_OUTPUTS]
    write_onnx(reference, (image, landmarks), out / "reference.onnx", ["image", "landmarks"], names, LEAST_HALVED)
    shown = dict(zip(REFERENCE_OUTPUTS, tensors[1:]))
    inputs = (tensors[0], torch.zeros(STATE_SHAPE), *(shown[name] for name in DECODER_INPUTS))
    write_onnx(decoder, inputs, out / "decoder.onnx", ["latent", "state", *DECODER_INPUTS], list(DECODER_OUTPUTS), LEAST_HALVED)
    shapes = {name: list(tensor.shape) for name, tensor in zip(REFERENCE_OUTPUTS, tensors[1:])}
    return {"stateShape": list(STATE_SHAPE), "referenceOutputs": shapes}


def write_avatars(folder: Path) -> list[dict[str, object]]:
    """Pictures of the designed avatars that ship, and avatars.json beside them; rendered people that it lists stay."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "avatars.json"
    people = [entry for entry in json.loads(listed.read_text()) if entry.get("decoder") == "mesh"] if listed.exists() else []
    entries: list[dict[str, object]] = []
    for spec in map(designed, SHIPPED):
        avatar = Avatar(spec)
        Image.fromarray(avatar.reference).save(folder / f"{spec.id}.png", optimize=True)
        # for video of twice the size: finer than the decoder's picture, which stays what it was trained on
        Image.fromarray(Avatar(spec, 2 * SIZE).reference).save(folder / f"{spec.id}.large.png", optimize=True)
        points = [[round(float(value), 2) for value in point] for point in avatar.landmarks]
        style = spec.style if spec.kind == "human" else spec.kind
        pictures = {"image": f"avatars/{spec.id}.png", "large": f"avatars/{spec.id}.large.png"}
        entries.append({"id": spec.id, "name": spec.name, "style": style, **pictures, "landmarks": points})
    entries[1:1] = people
    listed.write_text(json.dumps(entries, indent=2) + "\n")
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config")
    parser.add_argument("--out", required=True, help="folder of the model, for example models/nano")
    parser.add_argument("--frames", type=int, default=LATENT_FRAMES, help="latent frames in a chunk")
    args = parser.parse_args()
    config, out = load(args.config), Path(args.out)
    torch.set_num_threads(config.threads)
    facts = {**export_graphs(*build_graphs(config, latent_frames=args.frames), out), "sizes": SIZES}
    # an 8-bit graph of the previous weights must not stay beside the new ones; decoder.quantize makes the new one
    (out / QUANTISED).unlink(missing_ok=True)
    write_avatars(out / "avatars")
    (out / "decoder.json").write_text(json.dumps(facts, indent=2) + "\n")
    for name in ("reference.onnx", "decoder.onnx"):
        print(f"{out / name}: {(out / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
