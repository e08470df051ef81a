"""ONNX files of the model: written by PyTorch's tracing exporter with large weights as float16, and read back by name."""
import inspect

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

OPSET = 16


def write_onnx(module, inputs, path, input_names, output_names, least, dynamic_axes=None):
    """Traces `module` on `inputs` into `path`; float32 constants of `least` or more numbers are stored as float16."""
    # PyTorch 2.9 and newer export by another way by default, which names and folds weights differently and cannot write this opset
    tracing = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(
        module, inputs, str(path), opset_version=OPSET, do_constant_folding=True,
        input_names=input_names, output_names=output_names, dynamic_axes=dynamic_axes, **tracing,
    )
    halve_weights(path, least)


def halve_weights(path, least):
    """Stores float32 constants of `least` or more numbers as float16 behind a Cast; runtimes fold it at load, so speed stays, size halves."""
    model = onnx.load(str(path))
    graph, casts = model.graph, []
    for tensor in [*graph.initializer]:
        values, name = numpy_helper.to_array(tensor), tensor.name
        if values.dtype != np.float32 or values.size < least:
            continue
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def cast_sources(graph):
    """{name of a Cast's output: name of its input}: where the float16 constants of a graph are stored."""
    return {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}


def stored_weights(graph):
    """{name: float32 array} of a graph's constants under the names by which nodes use them, halved or not."""
    used = {source: name for name, source in cast_sources(graph).items()}
    return {used.get(t.name, t.name): np.float32(numpy_helper.to_array(t)) for t in graph.initializer}
