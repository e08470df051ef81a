"""Judges the exported files on held-out voices and texts: JSON on stdout.

python -m talkmesh_nano.eval_score --model ../models/nano --data DIR [--stretches 12] [--minutes 5] [--plot FILE.png]
Needs onnxruntime, numpy and the test shards of make_data; Pillow for --plot. Everything goes through the ONNX files, chunk by
chunk, as the score service runs them.
"""
import argparse
import json

import numpy as np

from .cache import Cache
from .onnx_rollout import Rollout
from .rig import INDEX, NEUTRAL, decode_rig, encode_rig

CLOSED_BELOW = 0.08


def correlation(a, b):
    """Pearson correlation of two equally long tracks."""
    return float(np.corrcoef(a, b)[0, 1])


def lag(said, true, reach=5):
    """Frames by which `said` trails `true` (argmax of the correlation over +-reach)."""
    scores = {k: correlation(said[reach + k:len(said) - reach + k], true[reach:-reach]) for k in range(-reach, reach + 1)}
    return max(scores, key=scores.get)


def stretch(pcm, ratio):
    """pcm played slower (ratio > 1, lower pitch and formants) or faster, by linear interpolation."""
    return np.interp(np.arange(int(len(pcm) * ratio)) / ratio, np.arange(len(pcm)), pcm).astype(np.float32)


def hiss(samples, level_dbfs, seed=9):
    """White noise of an RMS level in dBFS."""
    return (np.random.default_rng(seed).standard_normal(samples) * 10 ** (level_dbfs / 20)).astype(np.float32)


def blinks(track):
    """Number of blinks: rises of the track through 0.5."""
    return int(((track[1:] > 0.5) & (track[:-1] <= 0.5)).sum())


def neutral_c0():
    return encode_rig(np.tile(NEUTRAL, (12, 1)))


def speak(args, pcm, seed):
    schedule = tuple(float(t) for t in args.schedule.split(","))
    return Rollout(args.model, neutral_c0(), schedule, seed).speak(pcm)


def lips(args, cache):
    """Correlations on held-out stretches, against the right and against the next stretch's audio."""
    said, true, flags, wrong, jumps = [], [], [], [], []
    stretches = [s for s in cache.stretches() if s[1][:, 0].max() > 0.3][: args.stretches]
    for i, (pcm, rig, flag) in enumerate(stretches):
        frames = decode_rig(speak(args, pcm.astype(np.float32) / 32767, 100 + i))
        said.append(frames)
        true.append(rig[: len(frames)])
        flags.append(flag[: len(frames)])
        wrong.append(stretches[(i + 1) % len(stretches)][1][: len(frames), 0])
        step = np.abs(np.diff(frames[:, 9:12], axis=0)).mean(1)
        edge = np.arange(1, len(frames)) % 12 == 0
        jumps.append((step[edge].mean(), step[~edge].mean()))
    said, true, flags = np.concatenate(said), np.concatenate(true), np.concatenate(flags)
    names = ("mouth_open", "mouth_width", "mouth_round", "mouth_teeth")
    opening = said[:, 0]
    silent, closed = flags >= 2, (flags & 1) > 0
    return said, true, {
        "stretches": len(stretches),
        "frames": len(said),
        "correlation": {n: round(correlation(said[:, INDEX[n]], true[:, INDEX[n]]), 4) for n in names},
        "correlation_per_stretch_min": round(min(correlation(a[:, 0], b[:, 0]) for a, b in zip(np.split(said, len(stretches)), np.split(true, len(stretches)))), 4),
        "wrong_audio_open": round(correlation(opening, np.concatenate(wrong)), 4),
        "lag_frames": lag(opening, true[:, 0]),
        "open_std": [round(float(x.std()), 4) for x in (opening, true[:, 0])],
        "silent_closed_share": round(float((opening[silent] < CLOSED_BELOW).mean()), 4),
        "silent_frames": int(silent.sum()),
        "mbp_mean_open": round(float(opening[closed].mean()), 4),
        "mbp_closed_share_below_0.15": round(float((opening[closed] < 0.15).mean()), 4),
        "pose_step_at_chunk_edges_over_inside": round(float(np.mean([a for a, _ in jumps]) / np.mean([b for _, b in jumps])), 3),
        "true_pose_step": round(float(np.abs(np.diff(true[:, 9:12], axis=0)).mean()), 4),
        "pose_step": round(float(np.abs(np.diff(said[:, 9:12], axis=0)).mean()), 4),
    }


def endurance(args, cache):
    """A call of several minutes: half speech, half digital silence; statistics of its first and last thirds."""
    speech = np.concatenate([s[0] for s in cache.stretches()]).astype(np.float32) / 32767
    half = int(args.minutes * 30) * 24000
    pcm = np.concatenate([np.resize(speech, half), np.zeros(half, np.float32)])
    latents = speak(args, pcm, 5)
    rig = decode_rig(latents)
    truth = np.concatenate([s[1] for s in cache.stretches()])
    middle = len(rig) // 2
    out = {"minutes": round(len(rig) / 1500, 2), "latent_abs_max": round(float(np.abs(latents).max()), 2)}
    for name, part in (("speech", slice(0, middle)), ("silence", slice(middle + 25, None))):
        frames = rig[part]
        third = len(frames) // 3
        out[name] = {
            "blinks_per_minute": round(blinks(frames[:, 5]) / (len(frames) / 1500), 1),
            "blink_peak": round(float(np.percentile(frames[:, 5], 99)), 2),
            "std": {n: round(float(frames[:, INDEX[n]].std()), 3) for n in ("gaze_x", "gaze_y", "brow", "yaw", "pitch", "roll", "breath")},
            "mean_first_third": np.round(frames[:third, 9:15].mean(0), 2).tolist(),
            "mean_last_third": np.round(frames[-third:, 9:15].mean(0), 2).tolist(),
            "latent_std_first_last_third": [round(float(latents[_quarter(part)][: third // 4].std()), 3), round(float(latents[_quarter(part)][-(third // 4):].std()), 3)],
            "loop_peak": round(loop_peak(frames[:, 9:12]), 3),
        }
    out["silence"]["open_below_0.08"] = round(float((rig[middle + 25:, 0] < CLOSED_BELOW).mean()), 4)
    out["truth"] = {
        "blinks_per_minute": round(blinks(truth[:, 5]) / (len(truth) / 1500), 1),
        "std": {n: round(float(truth[:, INDEX[n]].std()), 3) for n in out["speech"]["std"]},
    }
    return out


def _quarter(part):
    """The latent frames under a slice of video frames."""
    return slice(part.start // 4, None if part.stop is None else part.stop // 4)


def changed(args, cache):
    """Opening correlation for voices and levels outside training, and the mouth's rest in sound that is no speech."""
    out, stretches = {}, [s for s in cache.stretches() if s[1][:, 0].max() > 0.3][:4]
    for name, ratio, gain in (("pitch_x1.25", 0.8, 1.0), ("pitch_x0.8", 1.25, 1.0), ("minus_20_dB", 1.0, 0.1)):
        pairs = []
        for i, (pcm, rig, _) in enumerate(stretches):
            said = decode_rig(speak(args, stretch(pcm.astype(np.float32) / 32767, ratio) * np.float32(gain), 200 + i))[:, 0]
            at = np.minimum((np.arange(len(said)) + 0.5) / ratio - 0.5, len(rig) - 1)
            pairs.append((said, np.interp(at, np.arange(len(rig)), rig[:, 0])))
        out[name] = round(correlation(*(np.concatenate(x) for x in zip(*pairs))), 4)
    for level in (-60, -45, -30):
        said = decode_rig(speak(args, hiss(30 * 24000, level), 300))[:, 0]
        out[f"hiss_{level}_dBFS_closed"] = round(float((said[25:] < CLOSED_BELOW).mean()), 4)
    return out


def loop_peak(tracks, least=125):
    """Largest autocorrelation of the pose beyond `least` frames: near 1 would mean a loop."""
    x = tracks - tracks.mean(0)
    size = 2 * len(x)
    power = np.abs(np.fft.rfft(x, size, axis=0)) ** 2
    auto = np.fft.irfft(power, size, axis=0)[: len(x) // 2].sum(1)
    return float(auto[least:].max() / auto[0])


def plot(path, said, true, frames=400):
    """Tracks under each other: truth grey, generated red."""
    from PIL import Image, ImageDraw

    names = ("mouth_open", "mouth_width", "mouth_round", "mouth_teeth", "blink", "gaze_x", "brow", "yaw", "pitch", "roll", "breath", "smile")
    image = Image.new("RGB", (1500, 90 * len(names)), "white")
    draw = ImageDraw.Draw(image)
    for row, name in enumerate(names):
        low, high = (-0.1, 1.1) if row < 5 else (-1.2, 1.2)
        for track, colour in ((true, (160, 160, 160)), (said, (220, 30, 30))):
            y = track[:frames, INDEX[name]]
            points = [(60 + k * 1430 / frames, 90 * (row + 1) - 5 - 80 * (v - low) / (high - low)) for k, v in enumerate(y)]
            draw.line(points, fill=colour, width=2)
        draw.text((2, 90 * row + 40), name, fill=(0, 0, 0))
    image.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--stretches", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--schedule", default="1.0,0.6")
    parser.add_argument("--plot")
    args = parser.parse_args()
    cache = Cache(args.data, "test")
    said, true, report = lips(args, cache)
    if args.plot:
        plot(args.plot, said, true)
    if args.minutes > 0:
        report["endurance"] = endurance(args, cache)
    report["changed"] = changed(args, cache)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
