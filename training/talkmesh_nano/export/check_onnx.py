"""Compares the exported model with PyTorch's numbers in ONNX Runtime and times it: JSON on stdout; exit 1 beyond 1e-3.

python -m talkmesh_nano.export.check_onnx --model ../models/nano --check FILE.npz   (needs onnxruntime, numpy, and node for the compiler)
"""
import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from .rollout import compiled, open_session


def milliseconds(run, repeats=40):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return {"median": round(float(np.median(times)), 2), "min": round(min(times), 2)}


def differences(data, timestep, score):
    """Largest absolute difference of every output, over all pairs of the check file."""
    worst = {}
    for index in range(sum(name.startswith("x_") for name in data)):
        at = {name.rsplit("_", 1)[0]: array for name, array in data.items() if name.endswith(f"_{index}")}
        worst["modulation"] = max(worst.get("modulation", 0), distance(timestep.run(None, {"t": at["t"]})[0], at["modulation"]))
        feed = {name: at[name] for name in ("x", "modulation", "condition")}
        for suffix, rows in (("", None), ("0", 0)):
            context = {name: at[name][:, :rows] for name in ("k_context", "v_context")}
            for name, got in zip(("velocity", "k_chunk", "v_chunk"), score.run(None, {**feed, **context})):
                worst[name + suffix] = max(worst.get(name + suffix, 0), distance(got, at[name + suffix]))
    return worst, {**feed, **{name: at[name] for name in ("k_context", "v_context")}}


def distance(a, b):
    return float(np.abs(a - b).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--check", required=True)
    args = parser.parse_args()
    data = dict(np.load(args.check).items())
    worst, timing = {}, {}
    if "x_0" in data:
        with compiled(args.model) as graphs:
            timestep, score = (open_session(Path(graphs) / f"{name}.onnx") for name in ("timestep", "score"))
            worst, feed = differences(data, timestep, score)
            timing = {"score_step_ms": milliseconds(lambda: score.run(None, feed))}
    if "pcm" in data:
        audio = open_session(Path(args.model) / "audio.onnx")
        worst["tokens"] = distance(audio.run(None, {"pcm": data["pcm"]})[0], data["tokens"])
        timing["audio_ms"] = milliseconds(lambda: audio.run(None, {"pcm": data["pcm"]}))
    print(json.dumps({"max_difference": worst, "one_thread": timing}))
    sys.exit(1 if max(worst.values()) > 1e-3 else 0)


if __name__ == "__main__":
    main()
