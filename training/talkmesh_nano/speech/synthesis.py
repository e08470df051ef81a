"""Speech for training: espeak-ng utterances of many voices, laid out in time with pauses, at 24 kHz."""
import numpy as np

from .espeak import Espeak
from .text import LANGUAGES, sentence

RATE_HZ = 24000
ACCENTS = ("en-us", "en-us", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-rp", "en-us-nyc", "en-gb-x-gbclan", "en-029")
VARIANTS = (
    "", "m1", "m2", "m3", "m5", "m6", "m8", "f1", "f2", "f3", "f5", "klatt", "klatt2", "klatt4", "Alex", "Alicia", "Andrea",
    "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Jacky", "Lee", "Marco", "Michael", "Mike", "adam", "anika",
    "antonio", "aunty", "benjamin", "boris", "david", "edward", "grandma", "grandpa", "gustave", "iven", "john", "linda",
    "max", "miguel", "pablo", "paul", "quincy", "rob", "robert", "sandro", "shelby", "steph", "travis", "whisper", "whisperf",
)
TEST_ACCENTS = ("en-us", "en-gb-x-rp", "en-gb-x-gbcwmd")
TEST_VARIANTS = ("m4", "m7", "f4", "belinda", "caleb", "victor", "klatt3", "Hugo")
_espeak = None


def espeak():
    global _espeak
    if _espeak is None:
        _espeak = Espeak()
    return _espeak


def resample(pcm, ratio):
    """pcm stretched to len*ratio samples; band-limited by FFT, so no images or aliases."""
    size = int(round(len(pcm) * ratio))
    if size == len(pcm) or size < 2:
        return pcm
    spectrum = np.fft.rfft(pcm)
    out = np.zeros(size // 2 + 1, spectrum.dtype)
    keep = min(len(out), len(spectrum))
    out[:keep] = spectrum[:keep]
    return (np.fft.irfft(out, size) * (size / len(pcm))).astype(np.float32)


def pick_voice(rng, split="train"):
    """(espeak voice, language) of a split; the test voices are variants and accents that training does not use."""
    if split == "test":
        return f"{_pick(rng, TEST_ACCENTS)}+{_pick(rng, TEST_VARIANTS)}", "en"
    variant = _pick(rng, VARIANTS)
    language = _pick(rng, LANGUAGES) if rng.random() < 0.18 else "en"
    base = _pick(rng, ACCENTS) if language == "en" else language
    return (f"{base}+{variant}" if variant else base), language


def utterance(rng, voice, language, split="train"):
    """(pcm 24 kHz peak about .7, [(start s, IPA)], length s) of one to three sentences by one voice.

    The clock may be stretched by up to 12 % together with the formants: a cheap change of vocal tract.
    """
    text = " ".join(sentence(rng, split, language) for _ in range(int(rng.integers(1, 4))))
    pcm, phonemes = espeak().speak(
        text, voice, rate=rng.integers(120, 221), pitch=rng.integers(20, 85), pitch_range=rng.integers(25, 80)
    )
    if len(pcm) < 100:
        return np.zeros(2400, np.float32), [(0.0, "")], 0.1
    stretch = float(np.exp(rng.uniform(-0.12, 0.12))) if rng.random() < 0.7 else 1.0
    pcm = resample(pcm, stretch * RATE_HZ / espeak().rate_hz)
    pcm *= 0.7 / max(1e-3, np.abs(pcm).max())
    return pcm, [(at * stretch, name) for at, name in phonemes], len(pcm) / RATE_HZ


def layout(rng, seconds, split="train", voice=None, talk=None):
    """Clean speech with pauses: (pcm [seconds*24000], phonemes [(s, IPA)] over the whole stretch).

    talk: about how much of the time is speech; None draws anything from hardly any to non-stop.
    """
    total = int(seconds * RATE_HZ)
    pcm, phonemes, at = np.zeros(total, np.float32), [(0.0, "")], 0.0
    talk = rng.choice([0.15, 0.5, 0.8, 0.95]) if talk is None else talk
    voice, language = voice or pick_voice(rng, split)
    at = rng.exponential(1.2 * (1 - talk) * 3) if rng.random() < 0.7 else 0.0
    while at < seconds:
        if rng.random() < 0.15 and split == "train":
            voice, language = pick_voice(rng, split)
        speech, names, length = utterance(rng, voice, language, split)
        start = int(at * RATE_HZ)
        part = speech[: total - start]
        pcm[start:start + len(part)] += part
        phonemes += [(at + t, name) for t, name in names] + [(at + length, "")]
        at += length + 0.1 + rng.exponential(length * (1 - talk) / talk + 0.05)
    return pcm, phonemes


def loudness(pcm, frames):
    """Relative loudness 0..1 per 25 fps frame: RMS over 80 ms on a 40 dB scale under the stretch's own peak."""
    hop = RATE_HZ // 25
    padded = np.pad(pcm[: frames * hop], (hop // 2, hop + max(0, frames * hop - len(pcm))))
    power = np.concatenate([[0.0], np.cumsum(padded.astype(np.float64) ** 2)])
    starts = np.arange(frames) * hop
    rms = np.sqrt(np.maximum(0, power[starts + 2 * hop] - power[starts]) / (2 * hop))
    db = 20 * np.log10(rms / max(1e-4, rms.max()) + 1e-6)
    return np.clip(1 + db / 40, 0, 1).astype(np.float32)


def _pick(rng, items):
    return items[int(rng.integers(len(items)))]
