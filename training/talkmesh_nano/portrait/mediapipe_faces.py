"""Converts MediaPipe's face detector and face mesh from TFLite to ONNX: `face-detector.onnx` and `face-mesh.onnx` of a model folder.

    pip download --no-deps mediapipe==0.10.14    # Apache-2.0; any platform's wheel holds the same nets
    pip install tflite==2.10.0
    python3 -m talkmesh_nano.portrait.mediapipe_faces --wheel mediapipe-0.10.14-*.whl --out ../models/nano

Only the eleven operations that these nets use are converted. Tensors are NCHW inside; input and outputs keep TFLite's shapes.
"""

import argparse
import zipfile
from pathlib import Path

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

NETS = {
    "face-detector.onnx": ("mediapipe/modules/face_detection/face_detection_short_range.tflite", {}),
    "face-mesh.onnx": (
        "mediapipe/modules/face_landmark/face_landmark.tflite",
        {"conv2d_21": "points", "conv2d_31": "presence"},
    ),
}
TYPES = {0: np.float32, 1: np.float16, 2: np.int32}
RELU = 1


class Converter:
    """One TFLite graph on its way to ONNX; tensor `i` is called `t<i>`."""

    def __init__(self, data: bytes):
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.tensors = [self.graph.Tensors(i) for i in range(self.graph.TensorsLength())]
        self.constants = {i: value for i in range(len(self.tensors)) if (value := self._constant(i)) is not None}
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def _constant(self, index: int) -> np.ndarray | None:
        tensor = self.tensors[index]
        buffer = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        if isinstance(buffer, int) or len(buffer) == 0:
            return None
        shape = tensor.ShapeAsNumpy() if tensor.ShapeLength() else []
        return np.frombuffer(buffer.tobytes(), TYPES[tensor.Type()]).reshape(shape)

    def weight(self, name: str, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: int, activation: int = 0, **attributes) -> None:
        if activation not in (0, RELU):
            raise ValueError(f"activation {activation} is not converted")
        name = f"t{output}"
        inner = f"{name}_linear" if activation == RELU else name
        self.nodes.append(helper.make_node(kind, inputs, [inner], **attributes))
        if activation == RELU:
            self.nodes.append(helper.make_node("Relu", [inner], [name]))

    def convert(self, names: dict[str, str]) -> onnx.ModelProto:
        for number in range(self.graph.OperatorsLength()):
            self._operator(number, self.graph.Operators(number))
        source = self.graph.Inputs(0)
        _, height, width, channels = (int(size) for size in self.tensors[source].ShapeAsNumpy())
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, height, width, channels])
        self.nodes.insert(0, helper.make_node("Transpose", ["image"], [f"t{source}"], perm=[0, 3, 1, 2]))
        outputs = []
        for i in range(self.graph.OutputsLength()):
            index = self.graph.Outputs(i)
            plain = self.tensors[index].Name().decode()
            name = names.get(plain, plain)
            self.nodes.append(helper.make_node("Identity", [f"t{index}"], [name]))
            shape = [int(size) for size in self.tensors[index].ShapeAsNumpy()]
            if len(shape) == 4:
                shape = [shape[0], shape[3], shape[1], shape[2]]
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        graph = helper.make_graph(self.nodes, "g", [image], outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _operator(self, number: int, operator: tflite.Operator) -> None:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        name = tflite.opcode2name(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
        inputs, output = list(operator.InputsAsNumpy()), operator.Outputs(0)
        tensor = [f"t{i}" for i in inputs]
        if name == "DEQUANTIZE":
            self.constants[output] = self.constants[inputs[0]].astype(np.float32)
        elif name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self._convolution(number, name, operator, inputs, output)
        elif name == "PRELU":
            slope = self.weight(f"slope{number}", self.constants[inputs[1]].reshape(-1, 1, 1))
            self.node("PRelu", [tensor[0], slope], output)
        elif name == "RELU":
            self.node("Relu", tensor[:1], output)
        elif name == "ADD":
            options = self._options(operator, tflite.AddOptions)
            self.node("Add", tensor, output, options.FusedActivationFunction())
        elif name == "MAX_POOL_2D":
            options = self._options(operator, tflite.Pool2DOptions)
            kernel = [options.FilterHeight(), options.FilterWidth()]
            self.node("MaxPool", tensor, output, kernel_shape=kernel, **_window(options))
        elif name == "PAD":
            before, after = self.constants[inputs[1]][[0, 3, 1, 2]].T
            pads = self.weight(f"pads{number}", np.concatenate([before, after]).astype(np.int64))
            self.node("Pad", [tensor[0], pads], output)
        elif name == "RESHAPE":
            shape = self.weight(f"shape{number}", self.tensors[output].ShapeAsNumpy().astype(np.int64))
            rows = f"t{output}_rows"
            self.nodes.append(helper.make_node("Transpose", tensor[:1], [rows], perm=[0, 2, 3, 1]))
            self.node("Reshape", [rows, shape], output)
        elif name == "CONCATENATION":
            self.node("Concat", tensor, output, axis=1)
        else:
            raise ValueError(f"the operation {name} is not converted")

    def _convolution(self, number: int, name: str, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        depthwise = name.startswith("DEPTHWISE")
        options = self._options(operator, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
        weight = self.constants[inputs[1]].transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        names = [
            f"t{inputs[0]}",
            self.weight(f"weight{number}", weight),
            self.weight(f"bias{number}", self.constants[inputs[2]]),
        ]
        self.node(
            "Conv",
            names,
            output,
            options.FusedActivationFunction(),
            dilations=[options.DilationHFactor(), options.DilationWFactor()],
            group=weight.shape[0] if depthwise else 1,
            kernel_shape=list(weight.shape[2:]),
            **_window(options),
        )

    @staticmethod
    def _options(operator: tflite.Operator, kind: type):
        options, table = kind(), operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options


def _window(options) -> dict:
    padding = "SAME_UPPER" if options.Padding() == 0 else "VALID"
    return {"auto_pad": padding, "strides": [options.StrideH(), options.StrideW()]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    with zipfile.ZipFile(options.wheel) as wheel:
        for name, (path, names) in NETS.items():
            onnx.save(Converter(wheel.read(path)).convert(names), options.out / name)
            print(f"{options.out / name}: {(options.out / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
