"""Writes `mesh.safetensors`, the constants of the mesh decoder: the triangles of MediaPipe's face mesh and the matrices from latents to rig numbers.

    pip download --no-deps mediapipe==0.10.14    # Apache-2.0
    python3 -m talkmesh_nano.decoder.mesh_constants --wheel mediapipe-0.10.14-*.whl --model ../models/nano
"""

import argparse
import re
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ..export.safetensors import write_safetensors

CONNECTIONS = "mediapipe/python/solutions/face_mesh_connections.py"
MATRICES = ("plain", "plain_bias", "border.half", "border_bias", "low", "high")


def triangles(wheel: Path) -> np.ndarray:
    """Indices [852, 3]: MediaPipe lists the mesh as directed edges, three in a row for each triangle. Eyes and mouth are holes."""
    source = zipfile.ZipFile(wheel).read(CONNECTIONS).decode()
    block = source.split("FACEMESH_TESSELATION = frozenset([", 1)[1].split("])", 1)[0]
    edges = np.array([[int(n) for n in pair] for pair in re.findall(r"\((\d+),\s*(\d+)\)", block)])
    rows = edges.reshape(-1, 3, 2)
    if not (rows[:, :, 1] == np.roll(rows[:, :, 0], -1, 1)).all():
        raise ValueError(f"{CONNECTIONS} does not list triangles edge by edge; use mediapipe 0.10.14")
    return rows[:, :, 0]


def matrices(model: Path) -> dict[str, np.ndarray]:
    """The first step of decoder.onnx (`DecoderGraph.rig`), so that both decoders read the same rig numbers from latents."""
    graph = onnx.load(model / "decoder.onnx").graph
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in MATRICES}
    return {name.removesuffix(".half"): found[name].astype(np.float32) for name in MATRICES}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    tensors = {"triangles": triangles(arguments.wheel).astype(np.float32), **matrices(arguments.model)}
    write_safetensors(arguments.model / "mesh.safetensors", tensors)


if __name__ == "__main__":
    main()
