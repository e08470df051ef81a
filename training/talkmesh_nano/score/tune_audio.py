"""Tunes the audio encoder through a score model that stays as it is.

python -m talkmesh_nano.score.tune_audio --data DIR --init ENCODER --score SCORE --out DIR [--config configs/tune-audio.json] [--seconds N] [--smoke]

The tokens of new voices become tokens that the score model already understands: gradients of the lips that it makes reach the encoder. So the score model's
files and every quality tuned from them stay valid, and eyes and head keep the motion that the encoder from before (--init) gives.
"""
import copy

import numpy as np
import torch

from ..dataset.cache import Cache, chunk_windows
from ..dataset.sequences import Sequences
from ..motion.rig import decode_rig
from ..runs.run import Run, arguments, load_score, load_weights
from ..sizes import HISTORY_SAMPLES, LATENT_FRAMES, TEMPORAL, TOKENS_PER_LATENT, chunk_samples
from .audio_encoder import AudioEncoder
from .flow import noise_like
from .retune import Retuner
from .train_audio import correlations, loss_of_tokens


class SoundSequences(Sequences):
    """Sequences whose `audio` is sound: windows of history and chunk [B, 1+N, S], as the service feeds them; silence for c_0."""

    def __init__(self, folder, split="train", latents=24, device="cpu"):
        super().__init__(folder, split, audio=False, latents=latents, device=device)

    def _tokens(self, kind, name, row, first):
        hop, count = chunk_samples(LATENT_FRAMES), self.latents // LATENT_FRAMES
        start, pcm = first // LATENT_FRAMES * hop, self.cache.shards[self.cache.names.index(name)]["pcm"][row]
        before = pcm[max(0, start - HISTORY_SAMPLES):start].astype(np.float32) / 32767
        windows = chunk_windows(pcm[start:start + count * hop].astype(np.float32) / 32767)
        # what precedes the sequence is the history of its first chunk
        windows[0, HISTORY_SAMPLES - len(before):HISTORY_SAMPLES] = before
        return np.concatenate([np.zeros_like(windows[:1]), windows])


class AudioTuner:
    """Losses of one encoder; `settings` are those of configs/tune-audio.json."""

    def __init__(self, encoder, score, settings, device="cpu"):
        self.encoder, self.settings = AudioEncoder().to(device), settings
        load_weights(self.encoder, encoder)
        self.before = copy.deepcopy(self.encoder).eval()
        # the score model is both the student and the student from before: only what it hears changes
        self.retuner = Retuner(load_score(score)[0].requires_grad_(False).to(device), settings)

    @staticmethod
    def tokens(encoder, windows):
        """Windows [B, 1+N, S] -> tokens of the chunks [B, 1+N, F, Ta, Da]."""
        own = encoder(windows.flatten(0, 1))[:, -LATENT_FRAMES * TEMPORAL:]
        return own.reshape(*windows.shape[:2], LATENT_FRAMES, TOKENS_PER_LATENT, -1)

    def loss(self, material, noise):
        """(loss, numbers for the curve) of a Batch of sound."""
        settings = self.settings
        with torch.no_grad():
            before = self.tokens(self.before, material.audio)
        tokens = self.tokens(self.encoder, material.audio)
        lips, values = self.retuner.loss(material._replace(audio=tokens, teacher_audio=before), noise)
        read = loss_of_tokens(self.encoder, frames_of(tokens[:, 1:]), *labels(material), settings["read_closure"], settings["read_silence"])
        return lips + settings["read"] * read, {**values, "read": read.item()}


def frames_of(tokens):
    """Tokens of chunks [B, N, F, Ta, Da] -> [B * N, 4 F, Da]: one a video frame."""
    return tokens.flatten(2, 3).flatten(0, 1)


def labels(material):
    """(mouth [B * N, 4 F, 4], flags [B * N, 4 F]) of a Batch, c_0 left out."""
    rows = material.x0.shape[0] * (material.x0.shape[1] - 1)
    rig = decode_rig(material.x0[:, 1:].reshape(-1, *material.x0.shape[3:]).cpu().numpy())
    flags = material.closed.int() + 2 * material.silent.int()
    return rig[:, :4].reshape(rows, -1, 4), flags.reshape(rows, -1).cpu().numpy().astype(np.uint8)


def main():
    args = arguments(__doc__, "configs/tune-audio.json", lambda parser: parser.add_argument("--score", required=True, help="checkpoint of the score model"))
    if not args.init:
        raise SystemExit("tune_audio changes an audio encoder that a score model knows: give --init")
    data = SoundSequences(args.data, latents=args.settings["latents"], device=args.device)
    tuner = AudioTuner(args.init, args.score, args.settings, args.device)
    run = Run(args, tuner.encoder, tuner.encoder.parameters())
    batch = 2 if args.smoke else args.settings["batch"]
    while run.running():
        material = data.draw(run.rngs(batch))
        loss, values = tuner.loss(material, noise_like(material.x0, run.rngs(batch, 2)))
        run.update(loss, **values)
        if run.step % 100 == 0:
            data.refresh()
            run.save()
    run.save()
    tuner.encoder.load_state_dict(run.averaged())
    run.log(heldout_correlation=correlations(tuner.encoder, Cache(args.data, "test"), batches=1 if args.smoke else 12))


if __name__ == "__main__":
    main()
