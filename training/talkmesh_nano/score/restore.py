"""Checkpoints from what ships: a model folder's audio.onnx and score.safetensors, for score.train_audio, score.train, evaluate.score and score.export.

python -m talkmesh_nano.score.restore --model ../models/nano --out DIR [--data DIR]   writes DIR/audio.pt and DIR/score.pt

Weights of 1,024 or more numbers have been rounded to float16 once, so exporting a restored checkpoint again gives the same files' numbers. Optimiser
state is not part of a model: training starts with a fresh one. The linear layer that reads mouth shapes from the audio encoder's tokens does not ship either;
with --data it is fitted again to dataset.make shards, without it score.train_audio starts with a random one.
"""
import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch

from ..dataset.cache import Cache
from ..export.onnx_files import stored_weights
from ..export.safetensors import read_safetensors
from ..runs.run import load_weights
from .audio_encoder import AudioEncoder
from .model import Score, ScoreConfig
from .train_audio import loss_of_tokens


def encoder_weights(path):
    """State dict of an AudioEncoder from an exported audio.onnx, less its `head`."""
    arrays = stored_weights(onnx.load(str(path)).graph)
    prefix = "encoder."
    return {n[len(prefix):]: torch.tensor(a) for n, a in arrays.items() if n.startswith(prefix)}


def score_of(folder):
    """(Score, steps of its schedule) of a model folder with model.json, or with the score.json that score.export writes."""
    path = next((p for p in (Path(folder) / "model.json", Path(folder) / "score.json") if p.exists()), None)
    if path is None:
        raise FileNotFoundError(f"{folder} holds neither model.json nor score.json")
    facts = json.loads(path.read_text())
    dit = facts["score"]["dit"]
    sizes = {name: dit[name] for name in ("dim", "layers", "heads", "mlp")}
    head = dit["head"]["predicts"]
    config = ScoreConfig(frames=facts["chunk"]["latentFrames"], time_hidden=dit["time"]["hidden"], x0_limit=head["limit"], **sizes)
    model = Score(config).eval()
    arrays = {n: torch.from_numpy(np.float32(a)) for n, a in read_safetensors(Path(folder) / "score.safetensors").items()}
    found = model.load_state_dict(arrays, strict=False)
    if found.unexpected_keys or found.missing_keys != ["angles"]:
        raise ValueError(f"score.safetensors does not fit its description: {found}; export the model again with score.export")
    return model, len(facts["score"]["schedule"])


def fit_head(encoder, cache, batches=40, seed=5):
    """Fits `head` alone to mouth shapes, by the loss that pre-trains the audio encoder; returns that loss."""
    rows = []
    with torch.no_grad():
        for k in range(batches):
            pcm, mouth, flags = cache.windows([np.random.default_rng([seed, k, i]) for i in range(32)])
            rows.append((encoder(torch.from_numpy(pcm)), mouth, flags))
    tokens, mouth, flags = torch.cat([r[0] for r in rows]), *(np.concatenate([r[k] for r in rows]) for k in (1, 2))
    optimizer = torch.optim.LBFGS(encoder.head.parameters(), max_iter=120, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = loss_of_tokens(encoder, tokens, mouth, flags)
        loss.backward()
        return loss

    optimizer.step(closure)
    return closure().item()


def save(path, weights, **extra):
    """A checkpoint as runs.run.Run writes it, with the same weights for `model` and `ema` and no optimiser."""
    torch.save({"model": weights, "ema": weights, "step": 0, "spent_s": 0.0, **extra}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="model folder")
    parser.add_argument("--out", required=True, help="folder for audio.pt and score.pt")
    parser.add_argument("--data", help="folder of dataset.make shards, to fit again the linear layer that reads mouth shapes from the tokens")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    weights, report = encoder_weights(Path(args.model) / "audio.onnx"), {}
    if args.data:
        encoder = AudioEncoder().eval()
        encoder.load_state_dict(weights, strict=False)
        report["head_loss"] = round(fit_head(encoder, Cache(args.data)), 4)
        weights = encoder.state_dict()
    save(out / "audio.pt", weights, settings={})
    load_weights(AudioEncoder(), out / "audio.pt")
    model, steps = score_of(args.model)
    save(out / "score.pt", model.state_dict(), settings={"student_steps": steps}, config=asdict(model.config))
    print(json.dumps({**report, "frames": model.config.frames, "student_steps": steps, "audio_encoder": len(weights), "score": len(model.state_dict())}))


if __name__ == "__main__":
    main()
