"""The score service's loop in NumPy over the model's graphs: needs onnxruntime, numpy, and node for the graph compiler (no PyTorch)."""
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime as ort


def open_session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextmanager
def compiled(model):
    """A folder with the timestep.onnx and score.onnx that the services' compiler makes of a model folder."""
    root = Path(__file__).resolve().parents[3]
    script = ["node", "--import", "tsx", "--conditions=source", "libs/inference/scripts/compile-score.ts"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*script, str(Path(model).resolve()), folder], cwd=root, check=True)
        yield folder


class Rollout:
    """One call: `step(pcm window, noise)` gives the next chunk's latents [3, 8, 2, 2].

    Keys and values of c_0 are kept per denoising step, those of c_{t-1} are the ones of its own pass at that step.
    """

    def __init__(self, folder, c0, schedule=(1.0, 0.6), seed=1):
        folder = Path(folder)
        self.audio = open_session(folder / "audio.onnx")
        with compiled(folder) as graphs:
            self.time, self.score = (open_session(Path(graphs) / f"{n}.onnx") for n in ("timestep", "score"))
        shapes = {i.name: i.shape for i in self.score.get_inputs()}
        self.layers, _, self.dim = shapes["k_context"]
        self.samples = self.audio.get_inputs()[0].shape[0]
        self.schedule, self.rng = tuple(schedule), np.random.default_rng(seed)
        self.modulation = [self.time.run(None, {"t": np.float32([t])})[0] for t in self.schedule]
        silence = self.encode(np.zeros(self.samples, np.float32))
        noise = self.rng.standard_normal(c0.shape).astype(np.float32)
        empty = np.zeros((self.layers, 0, self.dim), np.float32)
        self.first = []
        for t, modulation in zip(self.schedule, self.modulation):
            x = ((1 - t) * c0 + t * noise).astype(np.float32)
            self.first.append(self.run(x, modulation, silence, empty, empty)[1:])
        self.last = list(self.first)

    def encode(self, pcm):
        return self.audio.run(None, {"pcm": pcm.astype(np.float32)})[0]

    def run(self, x, modulation, tokens, k, v):
        return self.score.run(None, {"x": x, "modulation": modulation, "condition": tokens, "k_context": k, "v_context": v})

    def step(self, pcm, noise=None):
        tokens = self.encode(pcm)
        x = self.rng.standard_normal((3, 8, 2, 2)).astype(np.float32) if noise is None else noise
        for s, t in enumerate(self.schedule):
            k, v = (np.concatenate([self.first[s][i], self.last[s][i]], 1) for i in (0, 1))
            velocity, *self.last[s] = self.run(x, self.modulation[s], tokens, k, v)
            after = self.schedule[s + 1] if s + 1 < len(self.schedule) else 0.0
            x = x + np.float32(after - t) * velocity
        return x

    def speak(self, pcm):
        """Latents [3 * chunks, 8, 2, 2] for a whole pcm, encoded chunk by chunk as the service does it."""
        hop = 11520
        chunks = len(pcm) // hop
        padded = np.concatenate([np.zeros(self.samples - hop, np.float32), pcm[: chunks * hop]])
        return np.concatenate([self.step(padded[k * hop:k * hop + self.samples]) for k in range(chunks)])
