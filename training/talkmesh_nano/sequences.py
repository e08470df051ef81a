"""Sequences of latents and audio tokens for the score model, from cached stretches."""
import argparse
from pathlib import Path

import numpy as np
import torch

from .audio_encoder import AudioEncoder
from .cache import Cache, chunk_windows
from .common import load_weights
from .rig import NEUTRAL, SLOTS, codec, encode_rig
from .shapes import CHUNK_FRAMES, CHUNK_SAMPLES, HISTORY_SAMPLES, LATENT_FRAMES, TOKEN_DIM, TOKENS_PER_LATENT


def silence_tokens(encoder):
    """Audio tokens [3, Ta, Da] of digital silence: what c_0 hears."""
    return encode_windows(encoder, np.zeros((1, HISTORY_SAMPLES + CHUNK_SAMPLES), np.float32))[0]


def encode_windows(encoder, windows, batch=50):
    """Windows [N, S] -> tokens [N, 3, Ta, Da] float32."""
    out = []
    with torch.no_grad():
        for k in range(0, len(windows), batch):
            tokens = encoder(torch.from_numpy(windows[k:k + batch]))[:, -CHUNK_FRAMES:]
            out.append(tokens.reshape(-1, LATENT_FRAMES, TOKENS_PER_LATENT, TOKEN_DIM).numpy())
    return np.concatenate(out)


def neutral_chunk():
    """Latents [3, 8, 2, 2] of the neutral face."""
    return encode_rig(np.tile(NEUTRAL, (CHUNK_FRAMES, 1)))


def component_weights():
    """Loss weight [8, 2, 2] per latent number: a floor plus its share of the slot's variance in rig units."""
    cells = {}
    for name, _, _ in SLOTS:
        variance = (codec()[name]["decode"] ** 2).sum(0)
        cells[name] = 0.4 + 0.6 * variance / variance.mean()
    rows = [cells["mouth"][0::2] * 1.5, cells["mouth"][1::2] * 1.5, cells["eyes"], cells["pose"]]
    return torch.tensor(np.stack(rows, 1).reshape(8, 2, 2), dtype=torch.float32)


class Sequences:
    """Draws training sequences. Tokens of a shard lie beside it in tokens.npy (see main); without them audio is zeros."""

    def __init__(self, folder, split="train", audio=True, count=8):
        self.cache, self.audio, self.count = Cache(folder, split), audio, count
        self.folder, self.tokens = Path(folder), {}
        self.silence = np.load(self.folder / "silence.npy") if audio else np.zeros((3, TOKENS_PER_LATENT, TOKEN_DIM), np.float32)
        self.refresh()

    def refresh(self):
        self.cache.refresh()
        names = self.cache.names
        if self.audio:
            self.tokens = {n: np.load(p, mmap_mode="r") for n in names if (p := self.folder / n / "tokens.npy").exists()}
            names = list(self.tokens)
            if not names:
                raise FileNotFoundError(f"no tokens.npy under {self.folder}: run python -m talkmesh_nano.sequences first")
        self.usable = [i for i, n in enumerate(self.cache.names) if n in names]

    def draw(self, rng, batch):
        """(x0 [B, 1+N, 3, 8, 2, 2], audio [B, 1+N, 3, Ta, Da]) torch float32; index 0 is c_0.

        Every sequence starts like a call: eyes and pose grow out of the neutral face over the first second.
        """
        latents, audio = [], []
        ramp = np.clip(np.arange(self.count * CHUNK_FRAMES) / 25.0, 0, 1)[:, None]
        ramp = ramp * ramp * (3 - 2 * ramp)
        for _ in range(batch):
            shard = self.usable[int(rng.integers(len(self.usable)))]
            rigs = self.cache.shards[shard]["rig"]
            i = int(rng.integers(len(rigs)))
            first = int(rng.integers(0, rigs.shape[1] // CHUNK_FRAMES - self.count + 1))
            rig = np.array(rigs[i, first * CHUNK_FRAMES:(first + self.count) * CHUNK_FRAMES])
            rig[:, 6:] = NEUTRAL[6:] + (rig[:, 6:] - NEUTRAL[6:]) * ramp
            start = np.tile(NEUTRAL, (CHUNK_FRAMES, 1))
            if rng.random() < 0.3:
                start[:, 4] += rng.uniform(-0.15, 0.3)
                start[:, 9:12] += rng.uniform(-0.3, 0.3, 3)
            latents.append(encode_rig(np.concatenate([start, rig])).reshape(-1, LATENT_FRAMES, 8, 2, 2))
            if self.audio:
                name = self.cache.names[shard]
                audio.append(np.concatenate([self.silence[None], self.tokens[name][i, first:first + self.count]]))
            else:
                audio.append(np.zeros((self.count + 1, *self.silence.shape), np.float32))
        return torch.from_numpy(np.stack(latents)), torch.from_numpy(np.stack(audio).astype(np.float32))


def main():
    parser = argparse.ArgumentParser(description="Writes audio tokens beside every shard that lacks them.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--force", action="store_true", help="encode again (after a new encoder)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    encoder = AudioEncoder().eval()
    load_weights(encoder, args.encoder)
    folder = Path(args.data)
    np.save(folder / "silence.npy", silence_tokens(encoder))
    for split in ("train", "test"):
        for name, shard in (lambda c: zip(c.names, c.shards))(Cache(folder, split)):
            target = folder / name / "tokens.npy"
            if target.exists() and not args.force:
                continue
            rows = [encode_windows(encoder, chunk_windows(pcm.astype(np.float32) / 32767)) for pcm in shard["pcm"]]
            np.save(folder / name / "new.npy", np.stack(rows).astype(np.float16))
            (folder / name / "new.npy").rename(target)
            print(name, flush=True)


if __name__ == "__main__":
    main()
