"""Writes decoder-int8.onnx beside a model's decoder.onnx: python3 -m talkmesh_nano.decoder.quantize --model DIR (onnx, onnxruntime).

Convolutions take 8-bit activations and weights (QLinearConv), but for those that one by one move an edit by more than LIMITS:
near the end of the networks a whole cheek has one activation, and its rounding would be visible as a tint. They and
everything else stay float32. Ranges are those of calibration: the model's avatars and as many drawn ones, each through a
track with much motion. The same model gives the same file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image

from ..export.onnx_files import cast_sources
from .export import QUANTISED

WEIGHT_LIMIT = 127
CALIBRATION_SEED = 31_000
CALIBRATION_CHUNKS = 3
FLAT_LEVELS = 4.0
"""An edit is flat where it is smaller than this; levels of 0..255."""
LIMITS = (0.2, 0.3)
"""Root mean square error that a convolution alone may cause in flat parts of an edit and in the whole; levels."""
EDITS = ("edit_mouth", "edit_left", "edit_right")
EVALUATED_CHUNKS = 12

Feed = dict[str, np.ndarray]
Range = tuple[float, float]


class Constants:
    """A graph's constants by name, also those stored as float16 behind a Cast; new ones are added once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.casts = cast_sources(graph)

    def values(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.stored[self.casts.get(name, name)]).astype(np.float32)

    def put(self, name: str, values: np.ndarray | np.generic) -> str:
        self.stored[name] = numpy_helper.from_array(np.asarray(values), name)
        return name


def scale_of(limits: Range) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of 8 bits over a range, widened to hold 0, which stays exact."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    scale = np.float32(max(high - low, 1e-6) / 255)
    return scale, np.uint8(np.clip(round(-low / scale), 0, 255))


def quantised_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[outputs, ...] -> int8, and the scale of each output."""
    scale = np.maximum(np.abs(weights).reshape(len(weights), -1).max(1), 1e-8) / WEIGHT_LIMIT
    shape = (-1,) + (1,) * (weights.ndim - 1)
    return np.round(weights / scale.reshape(shape)).astype(np.int8), scale.astype(np.float32)


class Quantiser:
    """Rewrites a decoder's graph node by node. A value is quantised once and turned back to float only where floats are wanted."""

    def __init__(self, model: onnx.ModelProto, ranges: dict[str, Range], chosen: Collection[str]) -> None:
        """`chosen`: names of the convolutions to quantise."""
        self.graph, self.ranges, self.chosen = model.graph, ranges, chosen
        self.constants = Constants(model.graph)
        self.nodes: list[onnx.NodeProto] = []
        self.scales: dict[str, tuple[str, str]] = {}
        """Names of scale and zero point of values that exist in 8 bits, as `NAME.q`."""
        self.floats = {name for name in self.constants.stored}

    def run(self) -> None:
        for node in self.graph.node:
            if node.op_type == "Conv" and node.name in self.chosen:
                self._convolution(node)
            elif node.op_type == "DepthToSpace" and node.input[0] in self.scales:
                self._moved(node)
            else:
                self._plain(node)
        for value in self.graph.output:
            self._as_float(value.name)
        self._keep_used()

    def _plain(self, node: onnx.NodeProto) -> None:
        for name in node.input:
            self._as_float(name)
        self.nodes.append(node)
        self.floats.update(node.output)

    def _as_float(self, name: str) -> None:
        if name in self.floats or name not in self.scales:
            return
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", *self.scales[name]], [name]))
        self.floats.add(name)

    def _scaled(self, name: str) -> tuple[str, str]:
        scale, zero = scale_of(self.ranges[name])
        self.scales[name] = (self.constants.put(f"{name}.scale", scale), self.constants.put(f"{name}.zero", zero))
        return self.scales[name]

    def _as_bytes(self, name: str) -> None:
        if name not in self.scales:
            self.nodes.append(helper.make_node("QuantizeLinear", [name, *self._scaled(name)], [f"{name}.q"]))

    def _convolution(self, node: onnx.NodeProto) -> None:
        source, result = node.input[0], node.output[0]
        weights = self.constants.values(node.input[1])
        bias = self.constants.values(node.input[2]) if len(node.input) > 2 else np.zeros(len(weights), np.float32)
        self._as_bytes(source)
        whole, scale = quantised_weights(weights)
        unit = scale * self.constants.values(self.scales[source][0])
        parts = {"weight": whole, "weight_scale": scale, "weight_zero": np.zeros(len(scale), np.int8), "bias": np.round(bias / unit).astype(np.int32)}
        weight, weight_scale, weight_zero, offset = (self.constants.put(f"{result}.{part}", values) for part, values in parts.items())
        inputs = [f"{source}.q", *self.scales[source], weight, weight_scale, weight_zero, *self._scaled(result), offset]
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        self.nodes.append(helper.make_node("QLinearConv", inputs, [f"{result}.q"], **attributes))

    def _moved(self, node: onnx.NodeProto) -> None:
        """Pixels change their places, not their values: bytes go through."""
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        self.nodes.append(helper.make_node("DepthToSpace", [f"{node.input[0]}.q"], [f"{node.output[0]}.q"], **attributes))
        self.scales[node.output[0]] = self.scales[node.input[0]]

    def _keep_used(self) -> None:
        used = {name for node in self.nodes if node.op_type != "Cast" for name in node.input}
        nodes = [node for node in self.nodes if node.op_type != "Cast" or node.output[0] in used]
        used |= {name for node in nodes for name in node.input}
        stored = [tensor for name, tensor in self.constants.stored.items() if name in used]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(nodes)
        self.graph.initializer.extend(stored)


def convolutions(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type == "Conv"]


def measure_ranges(model: onnx.ModelProto, feeds: Iterable[Feed]) -> dict[str, Range]:
    """Smallest and largest of what goes into and comes out of convolutions, over all feeds, in float32."""
    names = list(dict.fromkeys(name for node in convolutions(model.graph) for name in (node.input[0], node.output[0])))
    opened = copied(model)
    opened.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = open_graph(opened)
    ranges: dict[str, Range] = {}
    for feed in feeds:
        for name, value in zip(names, session.run(names, feed)):
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return ranges


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def open_graph(model: onnx.ModelProto | Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def decode_edits(decoder, reference: Feed, latents: np.ndarray) -> Iterator[tuple[Feed, Feed]]:
    """What goes into the decoder's graph and what comes out, chunk by chunk of latents [n, 8, 2, 2]."""
    shapes = {value.name: value.shape for value in decoder.get_inputs()}
    outputs = [value.name for value in decoder.get_outputs()]
    count, state = shapes["latent"][0], np.zeros(shapes["state"], np.float32)
    for first in range(0, len(latents) - count + 1, count):
        known = {name: reference[name] for name in shapes if name in reference}
        feed = {**known, "latent": latents[first : first + count], "state": state}
        result = dict(zip(outputs, decoder.run(None, feed)))
        state = result["state_out"]
        yield feed, result


def references(folder: Path) -> Iterator[Feed]:
    """`reference.onnx` on the model's avatars and as many drawn ones."""
    from ..render.avatars import random_spec
    from ..render.avatar import Avatar

    graph = open_graph(folder / "reference.onnx")
    names = [value.name for value in graph.get_outputs()]
    shipped = json.loads((folder / "avatars" / "avatars.json").read_text())
    pictures = [(np.asarray(Image.open(folder / one["image"]).convert("RGB")), one["landmarks"]) for one in shipped]
    drawn = [Avatar(random_spec(CALIBRATION_SEED + i)) for i in range(len(shipped))]
    pictures += [(avatar.reference, avatar.landmarks) for avatar in drawn]
    for image, landmarks in pictures:
        yield dict(zip(names, graph.run(None, {"image": image, "landmarks": np.float32(landmarks)})))


def calibration(folder: Path) -> Iterator[tuple[Feed, Feed]]:
    """Inputs and outputs of the decoder, CALIBRATION_CHUNKS for every picture."""
    from ..evaluate.decoder import evaluation_track
    from ..motion.rig import TEMPORAL, encode_rig

    decoder = open_graph(folder / "decoder.onnx")
    frames = decoder.get_inputs()[0].shape[0] * TEMPORAL * CALIBRATION_CHUNKS
    for i, reference in enumerate(references(folder)):
        yield from decode_edits(decoder, reference, encode_rig(evaluation_track(CALIBRATION_SEED + i, frames)))


def errors(model: onnx.ModelProto, known: list[tuple[Feed, Feed]]) -> dict[str, tuple[float, float]]:
    """Root mean square errors of a decoder's edits, in their flat parts and in the whole, levels."""
    session = open_graph(model)
    outputs: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {name: ([], []) for name in EDITS}
    for feed, expected in known:
        for name, value in zip(EDITS, session.run(list(EDITS), feed)):
            outputs[name][0].append(value)
            outputs[name][1].append(expected[name])
    result = {}
    for name, (values, wanted) in outputs.items():
        square, flat = np.square(np.stack(values) - np.stack(wanted)), np.abs(np.stack(wanted)) < FLAT_LEVELS
        result[name] = (float(square[flat].mean() ** 0.5), float(square.mean() ** 0.5))
    return result


def error_text(found: dict[str, tuple[float, float]]) -> str:
    return "  ".join(f"{name} {flat:.3f} {whole:.3f}" for name, (flat, whole) in found.items())


def quantised(model: onnx.ModelProto, ranges: dict[str, Range], chosen: Collection[str]) -> onnx.ModelProto:
    """A decoder's 8-bit form."""
    result = copied(model)
    Quantiser(result, ranges, chosen).run()
    onnx.checker.check_model(result)
    return result


def choose(model: onnx.ModelProto, ranges: dict[str, Range], known: list[tuple[Feed, Feed]]) -> list[str]:
    """Names of the convolutions that may be quantised; prints what each costs in levels, flat and whole."""
    chosen = []
    for node in convolutions(model.graph):
        found = errors(quantised(model, ranges, [node.name]), known)
        fits = all(error <= limit for pair in found.values() for error, limit in zip(pair, LIMITS))
        print(f"{'int8   ' if fits else 'float32'}  {error_text(found)}  {node.name}", flush=True)
        if fits:
            chosen.append(node.name)
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="folder of a model, for example models/nano")
    parser.add_argument("--out", help=f"the file to write; {QUANTISED} in the model's folder by default")
    args = parser.parse_args()
    folder = Path(args.model)
    out = Path(args.out) if args.out else folder / QUANTISED
    model = onnx.load(str(folder / "decoder.onnx"))
    known = list(calibration(folder))
    ranges = measure_ranges(model, (feed for feed, _ in known))
    evaluated = known[:: max(1, len(known) // EVALUATED_CHUNKS)]
    result = quantised(model, ranges, choose(model, ranges, evaluated))
    onnx.save(result, str(out))
    print(f"together {error_text(errors(result, evaluated))}; {out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
