"""Compares the exported files with PyTorch's numbers in ONNX Runtime and times them: JSON on stdout; exit 1 beyond 1e-3.

python -m talkmesh_nano.check_onnx --model ../models/nano --check FILE.npz   (needs onnxruntime and numpy)
"""
import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from .onnx_rollout import open_session


def milliseconds(run, repeats=40):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return {"median": round(float(np.median(times)), 2), "min": round(min(times), 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", required=True)
    args = parser.parse_args()
    data = {k: v for k, v in np.load(args.check).items()}
    audio, timestep, score = (open_session(Path(args.model) / f"{n}.onnx") for n in ("audio", "timestep", "score"))
    empty = data["k_context"][:, :0]
    feed = {"x": data["x"], "modulation": data["modulation"], "audio_tokens": data["tokens"]}
    full = {**feed, "k_context": data["k_context"], "v_context": data["v_context"]}
    got = [
        *audio.run(None, {"pcm": data["pcm"]}), *timestep.run(None, {"t": data["t"]}),
        *score.run(None, full), *score.run(None, {**feed, "k_context": empty, "v_context": empty}),
    ]
    labels = ["tokens", "modulation", "velocity", "k", "v", "velocity0", "k0", "v0"]
    differences = {label: float(np.abs(array - data[label]).max()) for label, array in zip(labels, got)}
    spread = {label: round(float(data[label].std()), 3) for label in labels}
    timing = {
        "audio_ms": milliseconds(lambda: audio.run(None, {"pcm": data["pcm"]})),
        "score_step_ms": milliseconds(lambda: score.run(None, full)),
    }
    print(json.dumps({"max_difference": differences, "spread": spread, "one_thread": timing}))
    sys.exit(1 if max(differences.values()) > 1e-3 else 0)


if __name__ == "__main__":
    main()
