"""Evaluates a score model by its latents on held-out voices and texts: JSON on stdout.

python -m talkmesh_nano.evaluate.score --encoder CKPT --score CKPT --data DIR [--minutes 60] [--plot FILE.png] [--many-steps]
Roll-outs are those of the score service (contexts of c_0 and c_{t-1} at the chunk's own noise level, the checkpoint's schedule), a whole call as one
masked pass per step, which tests prove equal to chunk by chunk. Decoded frames are evaluated elsewhere (`npm run eval`).
"""
import argparse
import json

import numpy as np
import torch

from ..dataset.cache import Cache, chunk_windows
from ..dataset.sequences import encode_windows, neutral_chunk, silence_tokens
from ..motion.rig import INDEX, decode_rig
from ..runs.run import load_score, load_weights
from ..score.audio_encoder import AudioEncoder
from ..score.flow import SCHEDULES, TEACHER_TIMES, sample
from ..sizes import RATE_HZ, TEMPORAL, chunk_samples
from .measures import correlation, loop_peak

CLOSED_BELOW, NEARLY = 0.08, 0.15
MINUTE = 1500
MOVING = ("gaze_x", "gaze_y", "brow", "yaw", "pitch", "roll", "breath")


def lag(generated, true, reach=5):
    """Frames by which `generated` trails `true` (argmax of the correlation over +-reach)."""
    scores = {k: correlation(generated[reach + k:len(generated) - reach + k], true[reach:-reach]) for k in range(-reach, reach + 1)}
    return max(scores, key=scores.get)


def stretch(pcm, ratio):
    """pcm played slower (ratio > 1, lower pitch and formants) or faster, by linear interpolation."""
    return np.interp(np.arange(int(len(pcm) * ratio)) / ratio, np.arange(len(pcm)), pcm).astype(np.float32)


def hiss(samples, level_dbfs, seed=9):
    """White noise of an RMS level in dBFS."""
    return (np.random.default_rng(seed).standard_normal(samples) * 10 ** (level_dbfs / 20)).astype(np.float32)


def blink_peaks(track):
    """Peaks of the rises of a track through 0.5: one number per blink."""
    starts = np.flatnonzero((track[1:] > 0.5) & (track[:-1] <= 0.5)) + 1
    return np.array([track[k:k + 4].max() for k in starts])


def centres(closed):
    """True at the middle frame of every run of True in `closed` [n, frames] (the earlier of two)."""
    out = np.zeros_like(closed)
    for row, mask in zip(out, closed):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
        for first, stop in zip(edges[::2], edges[1::2]):
            row[(first + stop - 1) // 2] = True
    return out


class LatentGenerator:
    """A student with its audio encoder: tokens [B, N, F, Ta, Da] in, latents [B, N F, 8, 2, 2] out."""

    def __init__(self, encoder, score, many_steps=False):
        self.encoder = AudioEncoder().eval()
        load_weights(self.encoder, encoder)
        self.score, state = load_score(score)
        self.frames = self.score.config.frames
        self.many_steps, self.ahead = many_steps, bool(state.get("settings", {}).get("bidirectional"))
        self.schedule = TEACHER_TIMES if many_steps else SCHEDULES[state.get("settings", {}).get("student_steps", 2)]
        self.silence = silence_tokens(self.encoder, self.frames)

    def encode(self, pcm):
        return encode_windows(self.encoder, chunk_windows(pcm, self.frames), self.frames)

    def generate(self, tokens, seed):
        torch.manual_seed(seed)
        first = np.broadcast_to(self.silence, (len(tokens), 1, *self.silence.shape))
        audio = torch.from_numpy(np.concatenate([first, tokens], 1).astype(np.float32))
        c0 = torch.from_numpy(neutral_chunk(self.frames)).expand(len(tokens), 1, -1, -1, -1, -1)
        with torch.no_grad():
            noise = torch.randn(*audio.shape[:3], 8, 2, 2)
            return sample(self.score, noise, c0, audio, self.schedule, self.ahead, self.many_steps)[-1][:, 1:].flatten(1, 2).numpy()


def as_rig(latents):
    return np.stack([decode_rig(z) for z in latents])


def encoded_stretches(generator, cache):
    """(tokens [n, N, F, Ta, Da], rig [n, frames, 15], flags) of the held-out stretches that speak."""
    rows = [s for s in cache.stretches() if s[1][:, 0].max() > 0.3]
    tokens = np.stack([generator.encode(pcm.astype(np.float32) / 32767) for pcm, _, _ in rows])
    frames = tokens.shape[1] * generator.frames * TEMPORAL
    return tokens, np.stack([r[1][:frames] for r in rows]), np.stack([r[2][:frames] for r in rows])


def lips(generator, tokens, true, flags):
    """Correlations against the right and against the next stretch's audio, closure, steps at chunk edges."""
    generated = as_rig(generator.generate(tokens, 100))
    return generated, lip_figures(generated, true, flags, generator.frames)


def lip_figures(generated, true, flags, latent_frames):
    """The same of frames [n, frames, 15] that were generated elsewhere, in chunks of `latent_frames`."""
    flat, want, flag = generated.reshape(-1, 15), true.reshape(-1, 15), flags.ravel()
    opening, silent, closed = flat[:, 0], flag >= 2, (flag & 1) > 0
    centre = centres((flags & 1) > 0).ravel()
    chunk = latent_frames * TEMPORAL
    last = np.tile(np.arange(generated.shape[1]) % chunk == chunk - 1, len(generated))
    step = np.abs(np.diff(generated[..., 9:12], axis=1)).mean((0, 2))
    edge = np.arange(1, generated.shape[1]) % chunk == 0
    names = ("mouth_open", "mouth_width", "mouth_round", "mouth_teeth")
    return {
        "stretches": len(generated),
        "frames": len(flat),
        "correlation": {n: round(correlation(flat[:, INDEX[n]], want[:, INDEX[n]]), 4) for n in names},
        "correlation_per_stretch_min": round(min(correlation(a[:, 0], b[:, 0]) for a, b in zip(generated, true)), 4),
        "wrong_audio_open": round(correlation(opening, np.roll(true, 1, 0)[..., 0].ravel()), 4),
        "lag_frames": lag(opening, want[:, 0]),
        "open_std": [round(float(x.std()), 4) for x in (opening, want[:, 0])],
        "silent_closed_share": round(float((opening[silent] < CLOSED_BELOW).mean()), 4),
        "silent_frames": int(silent.sum()),
        "mbp_mean_open": round(float(opening[closed].mean()), 4),
        "mbp_closed_share_below_0.15": round(float((opening[closed] < NEARLY).mean()), 4),
        "mbp_frames": int(closed.sum()),
        "mbp_closed_share_at_centres": round(float((opening[centre] < NEARLY).mean()), 4),
        "mbp_closed_share_last_frame_of_chunk": round(float((opening[closed & last] < NEARLY).mean()), 4),
        "pose_step_at_chunk_edges_over_inside": round(float(step[edge].mean() / step[~edge].mean()), 3),
        "pose_step": [round(float(np.abs(np.diff(x[..., 9:12], axis=1)).mean()), 4) for x in (generated, true)],
    }


def motion_figures(rig):
    """Blinks, spreads and loops of frames [n, 15]."""
    peaks = blink_peaks(rig[:, 5])
    return {
        "blinks_per_minute": round(len(peaks) / (len(rig) / MINUTE), 1),
        "blinks_closed_fully": round(float((peaks > 0.85).mean()), 2) if len(peaks) else 0.0,
        "std": {n: round(float(rig[:, INDEX[n]].std()), 3) for n in MOVING},
        "loop_peak": round(loop_peak(rig[:, 9:12]), 3),
    }


def endurance(generator, tokens, true, minutes):
    """A call of `minutes`, half a minute of speech and half a minute of digital silence by turns; whether its latents drift."""
    per_half = int(30 * RATE_HZ / chunk_samples(generator.frames))
    speech = tokens.reshape(-1, *tokens.shape[2:])
    rows, kinds = [], []
    for k in range(int(minutes)):
        at = (k * per_half) % (len(speech) - per_half)
        rows += [speech[at:at + per_half], np.broadcast_to(generator.silence, (per_half, *generator.silence.shape))]
        kinds += [np.ones(per_half), np.zeros(per_half)]
    latents = generator.generate(np.concatenate(rows)[None], 5)[0]
    rig = decode_rig(latents)
    talks = np.repeat(np.concatenate(kinds) > 0, generator.frames * TEMPORAL)
    settled = np.concatenate([np.zeros(25, bool), ~talks[:-25]]) & ~talks
    sixth = len(latents) // 6
    parts = [latents[k * sixth:(k + 1) * sixth] for k in range(6)]
    return {
        "minutes": round(len(rig) / MINUTE, 2),
        "latent_abs_max": round(float(np.abs(latents).max()), 2),
        "speech": motion_figures(rig[talks]),
        "silence": {**motion_figures(rig[~talks]), "open_below_0.08": round(float((rig[settled, 0] < CLOSED_BELOW).mean()), 4)},
        "truth": motion_figures(true.reshape(-1, 15)),
        "latent_std_by_sixth": [round(float(p.std()), 3) for p in parts],
        "latent_mean_by_sixth": [round(float(p.mean()), 3) for p in parts],
        "pose_mean_by_sixth": [np.round(decode_rig(p)[:, 9:12].mean(0), 2).tolist() for p in parts],
    }


def changed(generator, cache):
    """Opening correlation for voices and levels outside training, and how far the mouth stays closed in noise."""
    out, stretches = {}, [s for s in cache.stretches() if s[1][:, 0].max() > 0.3][:4]
    for name, ratio, gain in (("pitch_x1.25", 0.8, 1.0), ("pitch_x0.8", 1.25, 1.0), ("minus_20_dB", 1.0, 0.1)):
        pairs = []
        for i, (pcm, rig, _) in enumerate(stretches):
            tokens = generator.encode(stretch(pcm.astype(np.float32) / 32767, ratio) * np.float32(gain))
            generated = as_rig(generator.generate(tokens[None], 200 + i))[0, :, 0]
            at = np.minimum((np.arange(len(generated)) + 0.5) / ratio - 0.5, len(rig) - 1)
            pairs.append((generated, np.interp(at, np.arange(len(rig)), rig[:, 0])))
        out[name] = round(correlation(*(np.concatenate(x) for x in zip(*pairs))), 4)
    for level in (-60, -45, -30):
        generated = as_rig(generator.generate(generator.encode(hiss(30 * RATE_HZ, level))[None], 300))[0, :, 0]
        out[f"hiss_{level}_dBFS_closed"] = round(float((generated[25:] < CLOSED_BELOW).mean()), 4)
    return out


def plot(path, generated, true, frames=400):
    """Tracks under each other: truth grey, generated red."""
    from PIL import Image, ImageDraw

    names = ("mouth_open", "mouth_width", "mouth_round", "mouth_teeth", "blink", "gaze_x", "brow", "yaw", "pitch", "roll", "breath", "smile")
    image = Image.new("RGB", (1500, 90 * len(names)), "white")
    draw = ImageDraw.Draw(image)
    for row, name in enumerate(names):
        low, high = (-0.1, 1.1) if row < 5 else (-1.2, 1.2)
        for track, colour in ((true, (160, 160, 160)), (generated, (220, 30, 30))):
            y = track[:frames, INDEX[name]]
            points = [(60 + k * 1430 / frames, 90 * (row + 1) - 5 - 80 * (v - low) / (high - low)) for k, v in enumerate(y)]
            draw.line(points, fill=colour, width=2)
        draw.text((2, 90 * row + 40), name, fill=(0, 0, 0))
    image.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--score", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=60, help="length of the long call; 0: none")
    parser.add_argument("--many-steps", action="store_true", help="the checkpoint is a teacher: sample it with many steps")
    parser.add_argument("--plot")
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator, cache = LatentGenerator(args.encoder, args.score, args.many_steps), Cache(args.data, "test")
    tokens, true, flags = encoded_stretches(generator, cache)
    generated, report = lips(generator, tokens, true, flags)
    report["motion"] = motion_figures(generated.reshape(-1, 15))
    if args.plot:
        plot(args.plot, generated[0], true[0])
    if args.minutes > 0:
        report["endurance"] = endurance(generator, tokens, true, args.minutes)
        report["changed"] = changed(generator, cache)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
