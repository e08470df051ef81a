"""Measures whether int8 makes the score network faster: an experiment that does not ship. Two commands, because one needs onnx and the other onnxruntime.

python3 -m talkmesh_nano.evaluate.int8 make GRAPHS           (onnx, numpy)       GRAPHS: a folder made by libs/inference/scripts/compile-score.ts
python3 -m talkmesh_nano.evaluate.int8 measure GRAPHS        (onnxruntime, numpy) CPU time of a step on one thread and the error of the velocity
"""
import json
import sys
import time
from pathlib import Path

import numpy as np


def quantised(weight):
    """(int8 [K, N], scale [N]) of a Gemm's weight [N, K], symmetric for each output."""
    scale = np.maximum(np.abs(weight).max(1), 1e-8) / 127
    return np.round(weight / scale[:, None]).astype(np.int8).T.copy(), scale.astype(np.float32)


def make(folder):
    """Writes score-int8.onnx: every Gemm takes int8 weights and quantises its input as it comes (DynamicQuantizeMatMul)."""
    import onnx
    from onnx import helper, numpy_helper

    from ..export.onnx_files import cast_sources
    from ..export.safetensors import read_safetensors

    model, weights = onnx.load(folder / "score.onnx", load_external_data=False), read_safetensors(folder / "score.safetensors")
    casts = cast_sources(model.graph)
    nodes, added = [], []
    for node in model.graph.node:
        name = casts.get(node.input[1]) if node.op_type == "Gemm" else None
        if name is None:
            nodes.append(node)
            continue
        matrix, scale = quantised(weights[name].astype(np.float32))
        parts = {"q": matrix, "scale": scale, "zero": np.zeros(len(scale), np.int8)}
        added += [numpy_helper.from_array(array, f"{node.output[0]}_{part}") for part, array in parts.items()]
        inputs = [node.input[0], *(f"{node.output[0]}_{part}" for part in parts), *node.input[2:]]
        nodes.append(helper.make_node("DynamicQuantizeMatMul", inputs, list(node.output), domain="com.microsoft"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(added)
    (folder / "score-int8.onnx").write_bytes(model.SerializeToString())


def measure(folder, rounds=12, repeats=60):
    """CPU times, the smallest of alternating rounds, which other work on the machine affects little."""
    from ..export.rollout import open_session

    plain, small = (open_session(folder / f"{name}.onnx") for name in ("score", "score-int8"))
    rng, feed = np.random.default_rng(1), {}
    for tensor in plain.get_inputs():
        shape = [size if isinstance(size, int) else 24 for size in tensor.shape]
        feed[tensor.name] = rng.standard_normal(shape).astype(np.float32) * (0.3 if tensor.name == "modulation" else 1)
    feed["modulation"][0] = 0.6
    a, b = (session.run(None, feed)[0] for session in (plain, small))
    times = {"float32": [], "int8": []}
    for _ in range(rounds):
        for name, session in (("float32", plain), ("int8", small)):
            begin = time.process_time()
            for _ in range(repeats):
                session.run(None, feed)
            times[name].append((time.process_time() - begin) / repeats * 1e3)
    return {"step_cpu_ms": {k: round(min(v), 3) for k, v in times.items()}, "velocity_error": round(float((a - b).std() / a.std()), 4)}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "measure"):
        raise SystemExit(__doc__)
    folder = Path(sys.argv[2])
    if sys.argv[1] == "make":
        make(folder)
    else:
        print(json.dumps(measure(folder)))


if __name__ == "__main__":
    main()
