"""Exports audio.onnx, timestep.onnx and score.onnx and checks them against PyTorch's numbers.

python -m talkmesh_nano.export_score --encoder CKPT --score CKPT --out ../models/nano
Large weights are stored as float16 and cast at load; arithmetic is float32. Writes score.json (facts for the manifest) and,
in --check, inputs and outputs that check_onnx compares in ONNX Runtime.
"""
import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from .audio_encoder import AudioEncoder, AudioGraph
from .common import load_score, load_weights
from .flow import SCHEDULES
from .rig import NEUTRAL, encode_rig
from .score import modulation_size
from .shapes import HISTORY_SAMPLES, TOKEN_DIM, TOKENS_PER_LATENT, chunk_samples

OPSET = 16


class _Step(torch.nn.Module):
    def __init__(self, score):
        super().__init__()
        self.score = score

    def forward(self, x, modulation, audio_tokens, k_context, v_context):
        return self.score.step(x, modulation, audio_tokens, k_context, v_context)


class _Time(torch.nn.Module):
    def __init__(self, score):
        super().__init__()
        self.time = score.time

    def forward(self, t):
        return self.time(t)[0]


def halve_weights(path, at_least=1024):
    """Stores float32 initialisers of `at_least` or more numbers as float16 with a Cast, which the runtime folds at load."""
    model = onnx.load(path)
    casts, kept = [], []
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or array.size < at_least:
            kept.append(weight)
            continue
        kept.append(numpy_helper.from_array(array.astype(np.float16), weight.name + "_half"))
        casts.append(helper.make_node("Cast", [weight.name + "_half"], [weight.name], to=TensorProto.FLOAT))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def round_weights(module, at_least=1024):
    """The module with the same rounding, so that the check compares like with like."""
    with torch.no_grad():
        for tensor in list(module.parameters()) + list(module.buffers()):
            if tensor.numel() >= at_least and tensor.dtype == torch.float32:
                tensor.copy_(tensor.half().float())


def export(module, path, inputs, names, outputs, dynamic=None):
    torch.onnx.export(
        module, inputs, str(path), opset_version=OPSET, input_names=names, output_names=outputs,
        dynamic_axes=dynamic, do_constant_folding=True,
    )
    halve_weights(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--score", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--check", required=True, help="where to write the comparison data (.npz)")
    args = parser.parse_args()
    torch.manual_seed(0)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    encoder = AudioEncoder().eval()
    load_weights(encoder, args.encoder)
    score, state = load_score(args.score)
    frames, schedule = score.config.frames, SCHEDULES[state["settings"]["student_steps"]][:-1]
    round_weights(encoder)
    round_weights(score)
    audio, step, time = AudioGraph(encoder, frames).eval(), _Step(score).eval(), _Time(score).eval()
    layers, dim = score.config.layers, score.config.dim
    pcm = torch.randn(HISTORY_SAMPLES + chunk_samples(frames)) * 0.1
    x, t = torch.randn(frames, 8, 2, 2), torch.tensor([0.6])
    context = torch.randn(2, layers, 2 * score.config.tokens, dim)
    empty = torch.zeros(layers, 0, dim)
    with torch.no_grad():
        tokens, modulation = audio(pcm), time(t)
        step_in = (x, modulation, tokens, context[0], context[1])
        results = [tokens, modulation, *step(*step_in), *step(x, modulation, tokens, empty, empty)]
        export(audio, out / "audio.onnx", (pcm,), ["pcm"], ["audio_tokens"])
        export(time, out / "timestep.onnx", (t,), ["t"], ["modulation"])
        names = ["x", "modulation", "audio_tokens", "k_context", "v_context"]
        dynamic = {"k_context": {1: "M"}, "v_context": {1: "M"}}
        export(step, out / "score.onnx", step_in, names, ["velocity", "k_chunk", "v_chunk"], dynamic)
    labels = ["tokens", "modulation", "velocity", "k", "v", "velocity0", "k0", "v0"]
    np.savez(args.check, pcm=pcm, x=x, t=t, k_context=context[0], v_context=context[1], **dict(zip(labels, results)))
    facts = {
        "fps": 25, "chunk": {"latentFrames": frames, "temporalCompression": 4}, "latent": {"channels": 8, "height": 2, "width": 2},
        "audio": {"sampleRateHz": 24000, "historySamples": HISTORY_SAMPLES, "tokensPerFrame": TOKENS_PER_LATENT, "tokenDim": TOKEN_DIM},
        "score": {
            "layers": layers, "dim": dim, "heads": score.config.heads, "modulationSize": modulation_size(score.config, True),
            "schedule": list(schedule), "sampler": "euler",
        },
        "neutralLatentFrame": encode_rig(np.tile(NEUTRAL, (4, 1)))[0].flatten().round(6).tolist(),
        "files": [
            {"path": n, "sha256": hashlib.sha256((out / n).read_bytes()).hexdigest(), "bytes": (out / n).stat().st_size}
            for n in ("audio.onnx", "timestep.onnx", "score.onnx")
        ],
    }
    (out / "score.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts["files"]))


if __name__ == "__main__":
    main()
