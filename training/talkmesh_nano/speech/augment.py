"""Audio augmentation: channels, rooms, loudness, noise, and sounds that are not speech."""
import numpy as np

RATE_HZ = 24000


def augment(rng, pcm, silent=None, quiet_db=30.0):
    """pcm as a microphone, a phone line, a room or a changed voice might record it. Same length; timing moves by < 5 ms.

    silent: bool per 25 fps frame; breaths and music-like stretches are put only where there is no speech.
    quiet_db: how far below full scale the level may fall.
    """
    out = pcm
    if rng.random() < 0.5:
        out = _equalise(rng, out)
    if rng.random() < 0.35:
        out = _room(rng, out)
    if rng.random() < 0.1:
        out = np.tanh(out * rng.uniform(1, 5)).astype(np.float32)
    if silent is not None and rng.random() < 0.35:
        out = out + _sounds(rng, silent, len(out))
    if rng.random() < 0.55:
        noise = _noise(rng, len(out))
        out = out + noise * (0.1 * 10 ** (-rng.uniform(8, 55) / 20))
    gain = 10 ** (-rng.uniform(0, quiet_db) / 20) / 0.7
    return np.clip(out * gain, -1, 1).astype(np.float32)


def _equalise(rng, pcm):
    """Random smooth response +-9 dB, sometimes a band limit (telephone, muffled)."""
    spectrum = np.fft.rfft(pcm)
    hz = np.linspace(0, RATE_HZ / 2, len(spectrum))
    knots = np.array([0, 100, 300, 800, 1800, 3500, 6000, 12000])
    db = np.interp(hz, knots, rng.uniform(-9, 9, len(knots)))
    if rng.random() < 0.4:
        low, high = rng.uniform(20, 350), rng.choice([3400, 4000, 5500, 7500])
        db -= 40 * np.clip(hz / high - 1, 0, 1) * 2 + 40 * np.clip(1 - hz / low, 0, 1)
    return np.fft.irfft(spectrum * 10 ** (db / 20), len(pcm)).astype(np.float32)


def _room(rng, pcm):
    length = int(RATE_HZ * rng.uniform(0.05, 0.4))
    tail = rng.standard_normal(length) * np.exp(-6.0 * np.arange(length) / length)
    tail *= rng.uniform(0.1, 0.5) / np.sqrt((tail ** 2).sum())
    tail[0] = 1.0
    size = 1 << int(np.ceil(np.log2(len(pcm) + length)))
    wet = np.fft.irfft(np.fft.rfft(pcm, size) * np.fft.rfft(tail, size), size)
    return wet[: len(pcm)].astype(np.float32)


def _noise(rng, n):
    """Unit-RMS noise with a random slope (white to brown), sometimes with a hum."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.maximum(20.0, np.linspace(0, RATE_HZ / 2, len(spectrum)))
    noise = np.fft.irfft(spectrum * hz ** -rng.uniform(0, 1.2), n)
    if rng.random() < 0.3:
        t = np.arange(n) / RATE_HZ
        noise = noise / noise.std() + 0.8 * np.sin(2 * np.pi * rng.choice([50, 60, 100, 120]) * t)
    return (noise / (noise.std() + 1e-9)).astype(np.float32)


def _sounds(rng, silent, n):
    """Breaths, clicks and tones inside the silent stretches."""
    out, hop = np.zeros(n, np.float32), RATE_HZ // 25
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2], edges[1::2]):
        if stop - start < 10 or rng.random() < 0.4:
            continue
        a, b = start * hop, stop * hop
        size = b - a if rng.random() < 0.3 else min(b - a, int(RATE_HZ * rng.uniform(0.2, 1.0)))
        at = a + int(rng.integers(0, b - a - size + 1))
        kind = rng.random()
        window = np.hanning(size)
        if kind < 0.5:
            sound = _noise(rng, size) * window * 0.03
        elif kind < 0.65:
            sound = rng.standard_normal(size) * (rng.random(size) < 0.0005) * 0.4
        else:
            sound = _music(rng, size) * np.minimum(1, window * 8) * 0.08
        out[at:at + size] += sound.astype(np.float32)
    return out


def _music(rng, n):
    """Held chords of a few harmonics that change every 0.3 s or so."""
    t = np.arange(n) / RATE_HZ
    out = np.zeros(n)
    step = int(RATE_HZ * rng.uniform(0.2, 0.8))
    for a in range(0, n, step):
        root = 110 * 2 ** (rng.integers(0, 30) / 12)
        for interval in (1, 1.25, 1.5):
            for harmonic in range(1, 5):
                out[a:a + step] += np.sin(2 * np.pi * root * interval * harmonic * t[a:a + step]) / harmonic
    return out / 4
