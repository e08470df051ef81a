"""Sequences of latents and audio tokens for the score model, from cached stretches."""
import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..motion.rig import FPS, NEUTRAL, SLOTS, codec, encode_rig
from ..runs.device import add_device, require
from ..runs.run import load_weights
from ..score.audio_encoder import AudioEncoder
from ..sizes import CHUNK_SIZES, HISTORY_SAMPLES, LATENT_FRAMES, TEMPORAL, TOKEN_DIM, TOKENS_PER_LATENT, chunk_samples
from .cache import Cache, chunk_windows

TOKENS = "tokens"


def silence_file(name, frames):
    """Where the tokens of digital silence lie, in the data folder."""
    return f"silence{frames}.npy" if name == TOKENS else f"{name}-silence{frames}.npy"


def silence_tokens(encoder, frames=LATENT_FRAMES):
    """Audio tokens [F, Ta, Da] of digital silence: the audio of c_0."""
    return encode_windows(encoder, np.zeros((1, HISTORY_SAMPLES + chunk_samples(frames)), np.float32), frames)[0]


def encode_windows(encoder, windows, frames=LATENT_FRAMES, batch=50):
    """Windows [N, S] -> tokens [N, F, Ta, Da] float32 of each window's last F latent frames."""
    out, device = [], encoder.stem.weight.device
    with torch.no_grad():
        for k in range(0, len(windows), batch):
            tokens = encoder(torch.from_numpy(windows[k:k + batch]).to(device))[:, -frames * TEMPORAL:]
            out.append(tokens.reshape(-1, frames, TOKENS_PER_LATENT, TOKEN_DIM).cpu().numpy())
    return np.concatenate(out)


def neutral_chunk(frames=LATENT_FRAMES):
    """Latents [F, 8, 2, 2] of the neutral face."""
    return encode_rig(np.tile(NEUTRAL, (frames * TEMPORAL, 1)))


def component_weights():
    """Loss weight [8, 2, 2] per latent number: a floor plus its share of the slot's variance in rig units."""
    cells = {}
    for name, _, _ in SLOTS:
        variance = (codec()[name]["decode"] ** 2).sum(0)
        cells[name] = 0.4 + 0.6 * variance / variance.mean()
    rows = [cells["mouth"][0::2] * 1.5, cells["mouth"][1::2] * 1.5, cells["eyes"], cells["pose"]]
    return torch.tensor(np.stack(rows, 1).reshape(8, 2, 2), dtype=torch.float32)


class Batch(NamedTuple):
    """x0 [B, 1+N, F, 8, 2, 2] with c_0 first, audio [B, 1+N, F, Ta, Da], closed, silent bool [B, 4 N F] (m, b, p; no speech near; c_0 left out).

    teacher_audio: the tokens of the same latents as the teacher hears them, cut into chunks of the teachers' size (`teacher_view`).
    """

    x0: torch.Tensor
    audio: torch.Tensor
    closed: torch.Tensor
    silent: torch.Tensor
    teacher_audio: torch.Tensor


def teacher_view(x):
    """Chunks of any size F cut into the teachers' size: [B, 1+N, F, ...] -> [B, 1 + N F / 3, 3, ...]; c_0 keeps its last frames."""
    flat = x.flatten(1, 2)[:, x.shape[2] - LATENT_FRAMES:]
    return flat.reshape(x.shape[0], -1, LATENT_FRAMES, *x.shape[3:])


class Sequences:
    """Draws training sequences of `latents` latent frames in chunks of `frames`, after c_0.

    Tokens of a shard lie beside it in tokens3.npy and tokens7.npy (see main); without them audio is zeros. A teacher that hears by another encoder has
    its tokens under another name, `teacher`. Batches are put on `device`.
    """

    def __init__(self, folder, split="train", audio=True, latents=24, frames=LATENT_FRAMES, device="cpu", teacher=TOKENS):
        unit = int(np.lcm(frames, LATENT_FRAMES))
        if latents % unit:
            raise ValueError(f"{latents} latent frames do not divide into chunks of {frames} and of {LATENT_FRAMES}: take a multiple of {unit}")
        self.cache, self.audio, self.latents, self.frames, self.unit = Cache(folder, split), audio, latents, frames, unit
        self.folder, self.device, self.tokens, self.silence = Path(folder), device, {}, {}
        self.heard, self.teacher = (TOKENS, frames), (teacher, LATENT_FRAMES)
        for kind in {self.heard, self.teacher}:
            shape = (kind[1], TOKENS_PER_LATENT, TOKEN_DIM)
            self.silence[kind] = np.load(self.folder / silence_file(*kind)) if audio else np.zeros(shape, np.float32)
        self.refresh()

    def refresh(self):
        self.cache.refresh()
        self.usable = list(range(len(self.cache.names)))
        if not self.audio:
            return
        for name, size in self.silence:
            paths = {n: self.folder / n / f"{name}{size}.npy" for n in self.cache.names}
            self.tokens[name, size] = {n: np.load(p, mmap_mode="r") for n, p in paths.items() if p.exists()}
        self.usable = [i for i, n in enumerate(self.cache.names) if all(n in rows for rows in self.tokens.values())]
        if not self.usable:
            missing = " and ".join(f"{name}{size}.npy" for name, size in self.silence)
            raise FileNotFoundError(f"no shard under {self.folder} has {missing}: run python -m talkmesh_nano.dataset.sequences first")

    def draw(self, rngs):
        """A Batch with one sequence per generator: what sequence i holds depends on its own generator alone.

        Every sequence starts like a call: eyes and pose grow out of the neutral face over the first second.
        """
        rows = [self._one(rng) for rng in rngs]
        return Batch(*(torch.from_numpy(np.stack(column)).to(self.device) for column in zip(*rows)))

    def _one(self, rng):
        shard = self.usable[int(rng.integers(len(self.usable)))]
        rigs, flags = self.cache.shards[shard]["rig"], self.cache.shards[shard]["flags"]
        i = int(rng.integers(len(rigs)))
        first = int(rng.integers(0, (rigs.shape[1] // TEMPORAL - self.latents) // self.unit + 1)) * self.unit
        span = slice(first * TEMPORAL, (first + self.latents) * TEMPORAL)
        rig = np.array(rigs[i, span])
        ramp = np.clip(np.arange(len(rig)) / FPS, 0, 1)[:, None]
        rig[:, 6:] = NEUTRAL[6:] + (rig[:, 6:] - NEUTRAL[6:]) * (ramp * ramp * (3 - 2 * ramp))
        start = np.tile(NEUTRAL, (self.frames * TEMPORAL, 1))
        if rng.random() < 0.3:
            start[:, 4] += rng.uniform(-0.15, 0.3)
            start[:, 9:12] += rng.uniform(-0.3, 0.3, 3)
        latents = encode_rig(np.concatenate([start, rig])).reshape(-1, self.frames, 8, 2, 2)
        name = self.cache.names[shard]
        audio = [self._tokens(kind, name, i, first) for kind in (self.heard, self.teacher)]
        return latents, audio[0], (flags[i, span] & 1) > 0, flags[i, span] >= 2, audio[1]

    def _tokens(self, kind, name, row, first):
        size = kind[1]
        if not self.audio:
            return np.zeros((1 + self.latents // size, *self.silence[kind].shape), np.float32)
        chunks = self.tokens[kind][name][row, first // size:(first + self.latents) // size]
        return np.concatenate([self.silence[kind][None], chunks]).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description="Writes audio tokens beside every shard that lacks them.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--frames", type=int, default=LATENT_FRAMES, choices=CHUNK_SIZES, help="latent frames in a chunk")
    parser.add_argument("--name", default=TOKENS, help="file name of the tokens: 'before' for the old encoder's, which score.train retune needs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--force", action="store_true", help="encode again (after a new encoder)")
    add_device(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    encoder = AudioEncoder().eval()
    load_weights(encoder, args.encoder)
    encoder.to(require(args.device))
    folder = Path(args.data)
    np.save(folder / silence_file(args.name, args.frames), silence_tokens(encoder, args.frames))
    for split in ("test", "train"):
        for name, shard in (lambda c: zip(c.names, c.shards))(Cache(folder, split)):
            target = folder / name / f"{args.name}{args.frames}.npy"
            if target.exists() and not args.force:
                continue
            rows = [encode_windows(encoder, chunk_windows(pcm.astype(np.float32) / 32767, args.frames), args.frames) for pcm in shard["pcm"]]
            np.save(folder / name / "new.npy", np.stack(rows).astype(np.float16))
            (folder / name / "new.npy").rename(target)
            print(name, flush=True)


if __name__ == "__main__":
    main()
