"""Speech that the training synthesiser did not make: Flite's voices (two of them modelled on recorded people), with phoneme times.

python -m talkmesh_nano.evaluate.speech --out DIR [--count N] writes takes of held-out sentences.
Flite is an external program (Debian: `apt-get install flite`); it is used for evaluation only.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..speech.arpabet import IPA
from ..speech.synthesis import RATE_HZ, resample
from ..speech.takes import Take, save
from ..speech.text import sentence

VOICES = ("slt", "rms", "awb", "kal16")
_DEADLINE_S = 60

# Flite's names of pauses
_PAUSES = ("pau", "h#", "brth")


def flite(text, voice):
    """Speech of `text`: (pcm float32 24 kHz, peak about .7, [(start s, IPA)], length s). Raises OSError without Flite, ValueError for an unknown phone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-psdur", "-voice", voice, "-t", text, "-o", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_DEADLINE_S).stdout
        raw = path.read_bytes()
    data = raw.index(b"data")
    rate_hz = int.from_bytes(raw[24:28], "little")
    pcm = np.frombuffer(raw[data + 8:len(raw) - (len(raw) - data) % 2], np.int16).astype(np.float32) / 32768
    pcm = resample(pcm, RATE_HZ / rate_hz)
    phonemes, at = [], 0.0
    for token in printed.split():
        name, end = token.rsplit(":", 1)
        if name not in _PAUSES and name not in IPA:
            raise ValueError(f"flite returned a phone that is not in the table: {name!r}; add it to speech/arpabet.py")
        phonemes.append((at, "" if name in _PAUSES else IPA[name]))
        at = float(end)
    return pcm * (0.7 / max(1e-3, np.abs(pcm).max())), phonemes, len(pcm) / RATE_HZ


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--count", type=int, default=60)
    args = parser.parse_args()
    rng, takes = np.random.default_rng(4100), []
    for i in range(args.count):
        text, voice = sentence(rng, "test"), VOICES[i % len(VOICES)]
        takes.append(Take(voice, text, *flite(text, voice)))
    save(args.out, takes)


if __name__ == "__main__":
    main()
