"""Speech that the training synthesiser did not make: Flite's voices (two of them modelled on recorded people), with phoneme times.

Flite is an external program (Debian: `apt-get install flite`); it is used for evaluation only.
"""
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ..speech.synthesis import RATE_HZ, resample

VOICES = ("slt", "rms", "awb", "kal16")
_DEADLINE_S = 60

# Flite's phone set (CMU) in the IPA symbols that `visemes` maps
_IPA = {
    "aa": "ɑ", "ae": "a", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b", "ch": "tʃ", "d": "d", "dh": "ð",
    "eh": "ɛ", "er": "ɜ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "ih": "ɪ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m",
    "n": "n", "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u",
    "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ", "pau": "", "h#": "", "brth": "",
}


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
        if name not in _IPA:
            raise ValueError(f"flite returned a phone that is not in the table: {name!r}; add it to _IPA")
        phonemes.append((at, _IPA[name]))
        at = float(end)
    return pcm * (0.7 / max(1e-3, np.abs(pcm).max())), phonemes, len(pcm) / RATE_HZ
