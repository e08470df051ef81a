"""Phonemes to mouth shapes: (open, width, round, teeth) targets, then coarticulated 25 fps tracks."""
import numpy as np

FPS = 25
SILENCE = (0.0, 0.5, 0.0, 0.0)
_FINE_HZ = 200
_GROUPS = (
    ("ɑaæɐʌ", (0.95, 0.60, 0.0, 0.30)),
    ("ɒɔ", (0.75, 0.30, 0.60, 0.05)),
    ("oɵ", (0.60, 0.22, 0.85, 0.0)),
    ("uʊɯ", (0.35, 0.12, 1.0, 0.0)),
    ("wʍɥ", (0.20, 0.06, 1.0, 0.0)),
    ("yʏøœ", (0.40, 0.22, 0.9, 0.10)),
    ("ie", (0.40, 0.95, 0.0, 0.80)),
    ("ɪɨᵻj", (0.35, 0.80, 0.0, 0.70)),
    ("ɛ", (0.62, 0.75, 0.0, 0.50)),
    ("əɜɚɝ", (0.48, 0.52, 0.15, 0.30)),
    ("mbpɓ", (0.0, 0.45, 0.10, 0.0)),
    ("fvɱ", (0.10, 0.50, 0.0, 1.0)),
    ("szθð", (0.16, 0.68, 0.0, 0.95)),
    ("ʃʒɕʑ", (0.22, 0.30, 0.65, 0.90)),
    ("tdnlɾɲɬ", (0.24, 0.60, 0.0, 0.75)),
    ("ɹr", (0.26, 0.32, 0.50, 0.35)),
    ("kɡgŋxhçɣʁʔcɟʀq", (0.32, 0.55, 0.05, 0.40)),
)
TARGETS = {symbol: shape for symbols, shape in _GROUPS for symbol in symbols}
_CLOSED = set("mbpɓ")


def phoneme_targets(name):
    """Mouth shapes of an IPA name, in time order: two for diphthongs and affricates; [] for a pause or an unknown name."""
    shapes = [TARGETS[symbol] for symbol in name if symbol in TARGETS]
    return shapes[:2]


def _segments(phonemes, end_s, bridge_s=0.09):
    """[(start, stop, shape, kind)], kind 'sil', 'closed' or 'open'; short gaps between phonemes belong to the one before."""
    out = []
    for i, (start, name) in enumerate(phonemes):
        stop = phonemes[i + 1][0] if i + 1 < len(phonemes) else end_s
        if stop <= start:
            continue
        shapes = phoneme_targets(name)
        if not shapes:
            last = out[-1] if out else None
            if last and last[3] != "sil" and stop - start < bridge_s:
                out[-1] = (last[0], stop, last[2], last[3])
            else:
                out.append((start, stop, SILENCE, "sil"))
            continue
        step = (stop - start) / len(shapes)
        kind = "closed" if name[:1] in _CLOSED else "open"
        out += [(start + k * step, start + (k + 1) * step, shape, kind) for k, shape in enumerate(shapes)]
    return out


def viseme_track(phonemes, end_s, frames, energy=None, anticipation_s=0.04):
    """Mouth track [frames, 4] at 25 fps and the frames that are certainly closed or silent.

    phonemes: [(start s, IPA)]; end_s: where speech ends; energy: optional loudness 0..1 per frame, scales the opening;
    anticipation_s: lips lead the sound by this much. Returns (track float32, closed bool [frames], silent bool [frames]).
    m, b and p reach an opening of 0; silence is exactly 0.
    """
    n = frames * _FINE_HZ // FPS
    fine = np.tile(np.float32(SILENCE), (n, 1))
    closed, silent = np.zeros(n, bool), np.ones(n, bool)
    for start, stop, shape, kind in _segments(phonemes, end_s):
        a, b = (max(0, int((s - anticipation_s) * _FINE_HZ)) for s in (start, stop))
        fine[a:b] = shape
        silent[a:b] = kind == "sil"
        if kind == "closed":
            closed[a:b] = True
    kernel = np.hanning(21)
    kernel /= kernel.sum()
    padded = np.pad(fine, ((10, 10), (0, 0)), "edge")
    smooth = np.stack([np.convolve(padded[:, k], kernel, "valid") for k in range(4)], 1)
    # lips meet: near a closed phoneme the opening is pulled to 0 over 40 ms on either side
    distance = _distance_to(closed)
    smooth[:, 0] *= np.clip((distance - 1) / 8.0, 0, 1)
    smooth[:, 0] *= np.clip((_distance_to(_eroded(silent, 10)) - 1) / 8.0, 0, 1)
    middle = slice(_FINE_HZ // FPS // 2, None, _FINE_HZ // FPS)
    track = smooth[middle][:frames].astype(np.float32)
    closed, silent = closed[middle][:frames], _eroded(silent, 12)[middle][:frames]
    if energy is not None:
        track[:, 0] *= 0.72 + 0.36 * energy[:frames]
    track[closed | silent, 0] = 0.0
    track[silent] = SILENCE
    return np.clip(track, 0, 1), closed, silent


def _eroded(mask, radius):
    """True where `mask` holds for `radius` samples on both sides."""
    return _distance_to(~mask) > radius


def _distance_to(mask):
    """Samples to the nearest True, on either side."""
    index = np.arange(len(mask))
    big = len(mask) + 10_000
    before = np.maximum.accumulate(np.where(mask, index, -big))
    after = np.minimum.accumulate(np.where(mask, index, 2 * big)[::-1])[::-1]
    return np.minimum(index - before, after - index)
