"""Exports audio.onnx and the score network: score.safetensors, and its architecture as data in score.json, for the graph compiler.

python -m talkmesh_nano.score.export [--encoder CKPT] [--score CKPT] --out ../models/nano --check FILE.npz
Large weights are stored as float16 and cast at load; arithmetic is float32. score.json holds the manifest's facts; the check file
holds inputs and PyTorch's outputs that export.check_onnx compares in ONNX Runtime. Then write the manifest again.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch

from ..export.onnx_files import write_onnx
from ..export.safetensors import write_safetensors
from ..motion.rig import NEUTRAL, encode_rig
from ..runs.run import load_score, load_weights
from ..sizes import HISTORY_SAMPLES, LATENT_FRAMES, TOKEN_DIM, TOKENS_PER_LATENT, chunk_samples
from .audio_encoder import AudioEncoder, AudioGraph
from .describe import describe, weights
from .flow import SCHEDULES
from .model import CHANNELS

# weights with fewer numbers stay float32
LEAST_HALVED = 1024


def round_weights(module, at_least=LEAST_HALVED):
    """The module with the same rounding, so that the check compares equally rounded weights."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            # rotary tables are not exported; the graph compiler computes them
            if name != "angles" and tensor.numel() >= at_least and tensor.dtype == torch.float32:
                tensor.copy_(tensor.half().float())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", help="checkpoint; without it, the audio.onnx in --out stays as it is")
    parser.add_argument("--score", help="checkpoint; without it, the score model and the other qualities in --out stay as they are")
    parser.add_argument("--out", required=True, help="model folder")
    parser.add_argument("--check", required=True, help="where to write the comparison data (.npz)")
    args = parser.parse_args()
    if not args.encoder and not args.score:
        parser.error("nothing to export: give --encoder, --score or both")
    torch.manual_seed(0)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    check = export_encoder(args.encoder, out) if args.encoder else {}
    if args.score:
        check.update(export_score(args.score, out))
    np.savez(args.check, **check)
    facts_file = out / "score.json"
    facts = json.loads(facts_file.read_text())
    facts_file.write_text(json.dumps({**facts, "audio": {"historySamples": HISTORY_SAMPLES}}, indent=2) + "\n")


def export_score(path, out):
    """Writes score.safetensors and score.json; returns inputs and outputs to compare."""
    score, state = load_score(path)
    config = score.config
    # checkpoints older than the setting are two-step students
    schedule = SCHEDULES[state.get("settings", {}).get("student_steps", 2)][:-1]
    write_safetensors(out / "score.safetensors", weights(score))
    round_weights(score)
    facts = {
        "fps": 25, "chunk": {"latentFrames": config.frames, "temporalCompression": 4},
        "latent": {"channels": CHANNELS, "height": 2, "width": 2},
        "score": {"dit": describe(score), "weights": ["score.safetensors"], "schedule": list(schedule), "sampler": "euler"},
        "neutralLatentFrame": encode_rig(np.tile(NEUTRAL, (4, 1)))[0].flatten().round(6).tolist(),
    }
    (out / "score.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps({"frames": config.frames, "schedule": schedule, "bytes": (out / "score.safetensors").stat().st_size}))
    return step_pairs(score)


def export_encoder(path, out):
    """Writes audio.onnx; returns inputs and outputs to compare."""
    encoder = AudioEncoder().eval()
    load_weights(encoder, path)
    round_weights(encoder)
    audio = AudioGraph(encoder).eval()
    pcm = torch.randn(HISTORY_SAMPLES + chunk_samples(LATENT_FRAMES)) * 0.1
    # one file serves chunks of every length
    free = {"pcm": {0: "samples"}, "audio_tokens": {0: "latent_frames"}}
    with torch.no_grad():
        write_onnx(audio, (pcm,), out / "audio.onnx", ["pcm"], ["audio_tokens"], LEAST_HALVED, free)
        return {"pcm": pcm, "tokens": audio(pcm)}


def step_pairs(score):
    """Inputs and PyTorch's outputs of one step with and without context, at each of two noise levels."""
    config, pairs = score.config, {}
    for index, level in enumerate((1.0, 0.6)):
        x, tokens = torch.randn(config.frames, CHANNELS, 2, 2), torch.randn(config.frames, TOKENS_PER_LATENT, TOKEN_DIM)
        context = torch.randn(2, config.layers, 2 * config.tokens, config.dim)
        with torch.no_grad():
            modulation = score.time(torch.tensor([level]))[0]
            after = score.step(x, modulation, tokens, context[0], context[1])
            alone = score.step(x, modulation, tokens, context[0][:, :0], context[1][:, :0])
        values = dict(
            t=torch.tensor([level]), x=x, condition=tokens, k_context=context[0], v_context=context[1], modulation=modulation,
            velocity=after[0], k_chunk=after[1], v_chunk=after[2], velocity0=alone[0], k_chunk0=alone[1], v_chunk0=alone[2],
        )
        pairs.update({f"{name}_{index}": value.numpy() for name, value in values.items()})
    return pairs


if __name__ == "__main__":
    main()
