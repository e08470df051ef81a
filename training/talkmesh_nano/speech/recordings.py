"""Recorded English speech with phone times: clips and their texts, aligned; writes takes.

python -m talkmesh_nano.speech.recordings --clips DIR --voice NAME --out DIR [--held-out | --without-held-out] [--first N] [--count N] [--by-sentence]
DIR holds NAME.wav with NAME.txt beside it, or the clips of DIR/metadata.csv (name|text|...) in DIR/wavs. 16-bit WAV at any rate. Needs pocketsphinx.
A prompt is held out when the number in its name divides by 11, so every reading of one sentence is on one side. Clips that cannot be aligned are left out.
"""
import argparse
import re
import wave
from pathlib import Path

import numpy as np

from .alignment import aligned, by_sentence
from .synthesis import RATE_HZ, resample
from .takes import Take, normalised, save, seconds

_EVERY = 11


def held_out(name):
    """Whether a clip belongs to the evaluation, by the first number in its name. Raises ValueError without a number."""
    number = re.search(r"\d+", name)
    if number is None:
        raise ValueError(f"the clip {name!r} has no number to split by; name clips by the number of their sentence")
    return int(number.group()) % _EVERY == 0


def clips_of(folder):
    """[(name, path of the WAV, text)] of a folder, in the order of their names. Raises FileNotFoundError when it holds none."""
    folder = Path(folder)
    table = folder / "metadata.csv"
    if table.exists():
        rows = (line.split("|") for line in table.read_text(encoding="utf8").splitlines() if line)
        found = [(row[0], folder / "wavs" / f"{row[0]}.wav", row[-1]) for row in rows]
    else:
        found = [(p.stem, p, p.with_suffix(".txt").read_text(encoding="utf8").strip()) for p in sorted(folder.glob("*.wav"))]
    if not found:
        raise FileNotFoundError(f"no clips in {folder}: it needs NAME.wav with NAME.txt, or metadata.csv and wavs/")
    return sorted(found)


def read_wav(path):
    """A 16-bit WAV as mono float32 at 24 kHz. Raises ValueError for other sample sizes."""
    with wave.open(str(path)) as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"{path} has {8 * file.getsampwidth()} bits a sample: convert it to 16")
        data = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, file.getnchannels())
        rate_hz = file.getframerate()
    return resample(data.astype(np.float32).mean(1) / 32768, RATE_HZ / rate_hz)


def take_of(pcm, text, voice):
    """A Take of one clip, or None when it cannot be aligned."""
    found = aligned(pcm, text)
    return Take(voice, text, normalised(pcm), *found) if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--voice", required=True, help="what to call the reader")
    parser.add_argument("--out", required=True)
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--held-out", action="store_true", help="only sentences of the evaluation")
    side.add_argument("--without-held-out", action="store_true", help="only sentences of the training")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--by-sentence", action="store_true", help="cut clips of several sentences first")
    args = parser.parse_args()
    clips = clips_of(args.clips)
    if args.held_out or args.without_held_out:
        clips = [clip for clip in clips if held_out(clip[0]) == args.held_out]
    clips = clips[args.first:][:args.count]
    sounds = ((read_wav(path), text) for _, path, text in clips)
    parts = (part for pcm, text in sounds for part in (by_sentence(pcm, text) if args.by_sentence else [(pcm, text)]))
    takes = [take for part in parts if (take := take_of(*part, args.voice))]
    save(args.out, takes)
    print(f"{len(takes)} takes of {len(clips)} clips aligned, {seconds(takes):.0f} s")


if __name__ == "__main__":
    main()
