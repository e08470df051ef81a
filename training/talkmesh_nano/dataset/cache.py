"""Reads cached stretches written by dataset.make."""
from pathlib import Path

import numpy as np

from ..sizes import CHUNK_FRAMES, CHUNK_SAMPLES, HISTORY_SAMPLES, LATENT_FRAMES, chunk_samples


class Cache:
    """All shards of a split under a folder: `DIR/<split>*`. Raises FileNotFoundError when there are none.

    `refresh()` picks up shards that appeared since.
    """

    def __init__(self, folder, split="train"):
        self.folder, self.split, self.shards, self.names = Path(folder), split, [], []
        self.refresh()
        if not self.shards:
            raise FileNotFoundError(f"no {split} shards in {folder}: run python -m talkmesh_nano.dataset.make first")

    def refresh(self):
        for path in sorted(self.folder.glob(f"{self.split}*")):
            if path.name not in self.names:
                self.names.append(path.name)
                self.shards.append({k: np.load(path / f"{k}.npy", mmap_mode="r") for k in ("pcm", "rig", "flags")})

    def stretches(self):
        for shard in self.shards:
            for i in range(len(shard["rig"])):
                yield shard["pcm"][i], shard["rig"][i], shard["flags"][i]

    def windows(self, rngs):
        """Random audio windows, one per generator: (pcm [B, history+chunk] float32, mouth [B, F, 4], flags [B, F]); F spans the window."""
        history = HISTORY_SAMPLES // 960
        pcm, mouth, flags = [], [], []
        for rng in rngs:
            shard = self.shards[int(rng.integers(len(self.shards)))]
            i = int(rng.integers(len(shard["rig"])))
            at = int(rng.integers(history, shard["rig"].shape[1] - CHUNK_FRAMES + 1))
            first = at - history
            pcm.append(shard["pcm"][i][first * 960:(at * 960 + CHUNK_SAMPLES)])
            mouth.append(shard["rig"][i][first:at + CHUNK_FRAMES, :4])
            flags.append(shard["flags"][i][first:at + CHUNK_FRAMES])
        return np.stack(pcm).astype(np.float32) / 32767, np.stack(mouth), np.stack(flags)


def chunk_windows(pcm, latent_frames=LATENT_FRAMES, history=HISTORY_SAMPLES):
    """pcm [samples] -> [N, history + chunk] windows, zeros before the start: what the service feeds audio.onnx."""
    hop = chunk_samples(latent_frames)
    chunks = len(pcm) // hop
    padded = np.concatenate([np.zeros(history, np.float32), pcm[: chunks * hop]])
    return np.stack([padded[k * hop:k * hop + history + hop] for k in range(chunks)])
