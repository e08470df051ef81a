"""What the audio encoder hears and the mouth does, by kind of voice: a table on stdout, one row a folder of test shards.

python -m talkmesh_nano.evaluate.voices --encoder CKPT [--score CKPT] --data DIR...
Without --score the mouth is what the linear layer of the audio encoder reads from its tokens, with it what the score model generates. Quiet: the same
sound 20 dB lower.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch

from ..dataset.cache import Cache, chunk_windows
from ..dataset.sequences import encode_windows
from ..runs.run import load_weights
from ..score.audio_encoder import AudioEncoder
from ..sizes import FRAME_SAMPLES, TOKEN_DIM
from .measures import correlation
from .score import CLOSED_BELOW, NEARLY, LatentGenerator, as_rig, centres, lag

QUIET = 0.1


def read_mouths(encoder, sounds):
    """[mouth [frames, 4]] that the encoder's own linear layer reads from chunked sounds."""
    out = []
    with torch.no_grad():
        for pcm in sounds:
            tokens = encode_windows(encoder, chunk_windows(pcm)).reshape(-1, TOKEN_DIM)
            out.append(encoder.read(torch.from_numpy(tokens))[0].numpy())
    return out


def generated_mouths(generator, sounds):
    """The same as the score model moves the lips."""
    return [as_rig(generator.generate(generator.encode(pcm)[None], 100 + i))[0, :, :4] for i, pcm in enumerate(sounds)]


def figures(mouths, rigs, flags, sounds):
    """Correlation with the labels, closures and silence over all frames of a folder; recorded silence is not digital zero."""
    made, true, flag = np.concatenate(mouths), np.concatenate(rigs)[:, :4], np.concatenate(flags)
    closed, silent = (flag & 1) > 0, flag >= 2
    heard = np.concatenate([np.abs(s[:len(f) * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)).max(1) > 0 for s, f in zip(sounds, flags)])
    middle = np.concatenate([centres(((f & 1) > 0)[None])[0] for f in flags])
    return {
        "frames": len(made),
        "open_width_round_teeth": [round(correlation(made[:, k], true[:, k]), 3) for k in range(4)],
        "lag_frames": lag(made[:, 0], true[:, 0]),
        "open_spread": round(float(made[:, 0].std() / true[:, 0].std()), 3),
        "mbp_below_0.15": round(float((made[closed, 0] < NEARLY).mean()), 3),
        "mbp_at_centres": round(float((made[middle, 0] < NEARLY).mean()), 3),
        "silence_closed": round(float((made[silent, 0] < CLOSED_BELOW).mean()), 4),
        "recorded_silence_closed": round(float((made[silent & heard, 0] < CLOSED_BELOW).mean()), 4) if (silent & heard).any() else None,
        "silent_frames": [int(silent.sum()), int((silent & heard).sum())],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--score")
    parser.add_argument("--data", required=True, nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(1)
    encoder = AudioEncoder().eval()
    load_weights(encoder, args.encoder)
    generator = LatentGenerator(args.encoder, args.score) if args.score else None
    for folder in args.data:
        rows = list(Cache(folder, "test").stretches())
        sounds = [pcm.astype(np.float32) / 32767 for pcm, _, _ in rows]
        report = {"data": Path(folder).name}
        for name, gain in (("", 1.0), ("quiet", QUIET)):
            louds = [np.float32(s * gain) for s in sounds]
            mouths = generated_mouths(generator, louds) if generator else read_mouths(encoder, louds)
            found = figures(mouths, [r for _, r, _ in rows], [f for _, _, f in rows], sounds)
            report.update(found if not name else {"quiet_open_width": found["open_width_round_teeth"][:2], "quiet_mbp": found["mbp_below_0.15"], "quiet_spread": found["open_spread"]})
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
