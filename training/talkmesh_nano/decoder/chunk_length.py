"""Graphs of a model's decoder for chunks of another length, without a second copy of their weights.

python3 -m talkmesh_nano.decoder.chunk_length --model ../models/nano --frames 7 [--config FILE]   writes reference-7.onnx, decoder-7.onnx and
decoder-int8-7.onnx, of 50 to 110 KB each, and names them in chunk-lengths.json. Then write the manifest again.

What a graph of 7 latent frames has besides that of 3 is found by exporting networks with random weights for both lengths: constants that differ (shapes, mostly) are
the same in the shipped graphs. The weights are ONNX external data: each initializer points into the bytes of the shipped file, whose SHA-256 the new file names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper

from .config import DecoderConfig, load
from .export import build_graphs, export_graphs
from .graph import LATENT_FRAMES

GRAPHS = {"reference": "reference.onnx", "decoder": "decoder.onnx", "decoderInt8": "decoder-int8.onnx"}
FACTS = "chunk-lengths.json"
# smaller constants stay in the graph
LEAST_POINTED_BYTES = 256
WEIGHTS_SHA256 = "weights_sha256"
"""Metadata of a graph whose weights lie in another file: the hash of that file."""

Constants = dict[str, np.ndarray]
Shapes = dict[str, list[int]]


def constants(graph: onnx.GraphProto) -> Constants:
    """Initializers and values of Constant nodes, by name."""
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def shapes(graph: onnx.GraphProto) -> Shapes:
    """Dimensions of inputs and outputs, by name."""
    return {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)}


def operators(graph: onnx.GraphProto) -> list[tuple[str, tuple[str, ...]]]:
    return [(node.op_type, tuple(node.output)) for node in graph.node]


def difference(short: onnx.GraphProto, long: onnx.GraphProto) -> tuple[Constants, Shapes]:
    """What `long` has in place of constants and dimensions of `short`, which has the same nodes and weights."""
    if operators(short) != operators(long):
        raise ValueError("the exporter wrote other nodes for another length of a chunk: the graphs cannot be derived")
    before, after = constants(short), constants(long)
    if before.keys() != after.keys():
        raise ValueError(f"constants of one length only: {sorted(before.keys() ^ after.keys())}")
    changed = {name: value for name, value in after.items() if not np.array_equal(before[name], value)}
    dims = shapes(long)
    return changed, {name: dims[name] for name, old in shapes(short).items() if dims[name] != old}


def changed_graph(model: onnx.ModelProto, new: Constants, dims: Shapes, known: Constants) -> onnx.ModelProto:
    """A copy of a shipped graph with these constants and dimensions; `known`: what the constants are in a graph of its own length."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, missing = result.graph, set(new)
    own = constants(graph)
    for name, value in new.items():
        if name in own and not np.array_equal(own[name], known[name]):
            raise ValueError(f"{name} is not what the exporter writes: the shipped graph is of another configuration")
    for tensor in graph.initializer:
        if tensor.name in new:
            tensor.CopyFrom(numpy_helper.from_array(new[tensor.name], tensor.name))
            missing.discard(tensor.name)
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in new:
            node.attribute[0].t.CopyFrom(numpy_helper.from_array(new[node.output[0]]))
            missing.discard(node.output[0])
    if missing:
        raise ValueError(f"the shipped graph has no {sorted(missing)}: it is of another configuration, or of another exporter")
    for value in (*graph.input, *graph.output):
        for dim, size in zip(value.type.tensor_type.shape.dim, dims.get(value.name, [])):
            dim.dim_value = size
    del graph.value_info[:]
    return result


def point_into(model: onnx.ModelProto, file: Path) -> None:
    """Makes external data of all initializers whose bytes `file` holds."""
    held = file.read_bytes()
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) < LEAST_POINTED_BYTES:
            continue
        offset = held.find(tensor.raw_data)
        if offset < 0:
            continue
        facts = {"location": file.name, "offset": offset, "length": len(tensor.raw_data)}
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in facts.items():
            tensor.external_data.add(key=key, value=str(value))
    model.metadata_props.add(key=WEIGHTS_SHA256, value=hashlib.sha256(held).hexdigest())


def derive(folder: Path, frames: int, config: DecoderConfig) -> dict[str, str]:
    """Writes the graphs for chunks of `frames` into a model folder; returns their names."""
    written: dict[str, str] = {}
    with TemporaryDirectory() as scratch:
        exported = {length: Path(scratch) / str(length) for length in (LATENT_FRAMES, frames)}
        for length, out in exported.items():
            torch.manual_seed(0)
            export_graphs(*build_graphs(config, trained=False, latent_frames=length), out)
        for name, file in GRAPHS.items():
            source = folder / file
            if not source.exists():
                continue
            fresh = "reference.onnx" if name == "reference" else "decoder.onnx"
            short, long = (onnx.load(str(out / fresh)).graph for out in exported.values())
            new, dims = difference(short, long)
            model = changed_graph(onnx.load(str(source)), new, dims, constants(short))
            point_into(model, source)
            written[name] = f"{source.stem}-{frames}.onnx"
            onnx.save(model, str(folder / written[name]))
            onnx.checker.check_model(str(folder / written[name]))
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder")
    parser.add_argument("--frames", required=True, type=int, help="latent frames of a chunk")
    parser.add_argument("--config", help="overrides of the decoder's configuration, JSON")
    args = parser.parse_args()
    folder = Path(args.model)
    graphs = derive(folder, args.frames, load(args.config))
    path = folder / FACTS
    known = {entry["latentFrames"]: entry for entry in (json.loads(path.read_text()) if path.exists() else [])}
    known[args.frames] = {**known.get(args.frames, {}), "latentFrames": args.frames, "graphs": graphs}
    path.write_text(json.dumps([known[length] for length in sorted(known)], indent=2) + "\n")
    print(json.dumps({name: (folder / name).stat().st_size for name in graphs.values()}))


if __name__ == "__main__":
    main()
