"""Rig motion tracks at 25 fps: mouth from speech; eyes, brows, head and breath move in speech and in silence."""
import numpy as np

from .rig import FPS, INDEX, NEUTRAL

_BLINK = np.float32([0.45, 1.0, 1.0, 0.65, 0.2])


def _wander(rng, n, period_s, start=0.0):
    """Band-limited noise with unit variance that keeps returning to 0 (two cascaded leaky integrators)."""
    leak = 1.0 / (period_s * FPS)
    white = rng.standard_normal(n + 800).astype(np.float32)
    x = _leaky(_leaky(white, leak * 2.2), leak * 2.2)
    x = x / (x.std() + 1e-6)
    return x[800:]


def _leaky(signal, leak):
    """First-order low-pass as a truncated exponential convolution."""
    taps = np.exp(-leak * np.arange(int(6 / leak) + 1)).astype(np.float32)
    size = 1 << int(np.ceil(np.log2(len(signal) + len(taps))))
    out = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(taps, size), size)[: len(signal)]
    return (out * leak).astype(np.float32)


def _blinks(rng, n):
    track = np.zeros(n, np.float32)
    k = int(rng.integers(0, 60))
    while k < n:
        shape = _BLINK[: n - k]
        track[k:k + 5] = np.maximum(track[k:k + 5], shape)
        # people blink every 2-6 s; one in eight blinks is followed by a second one
        k += int(rng.integers(9, 13)) if rng.random() < 0.12 else int(rng.integers(50, 150))
    return track


def _gaze(rng, n):
    x, y = np.zeros(n, np.float32), np.zeros(n, np.float32)
    k = 0
    while k < n:
        stop = k + int(rng.integers(12, 70))
        away = rng.random() < 0.45
        x[k:stop] = rng.uniform(-0.8, 0.8) if away else rng.uniform(-0.15, 0.15)
        y[k:stop] = rng.uniform(-0.45, 0.45) if away else rng.uniform(-0.1, 0.1)
        k = stop
    kernel = np.float32([0.25, 0.5, 0.25])
    return tuple(np.convolve(np.pad(a, 1, "edge"), kernel, "valid") for a in (x, y))


def rig_track(rng, mouth, energy):
    """rig [n, 15] float32 from mouth [n, 4] and loudness energy [n] (0..1).

    Head pose has four free directions (yaw, pitch, roll, breath); the shifts follow from them, as a head on a neck moves.
    Amplitudes vary from track to track. Raises nothing; n may be any length.
    """
    n = len(mouth)
    rig = np.tile(NEUTRAL, (n, 1))
    rig[:, :4] = mouth
    kernel = np.hanning(17)
    accent = np.convolve(energy, kernel / kernel.sum(), "same")
    # nods follow stress with a delay: the head moves after the voice, so the past is enough to predict them
    nod = np.concatenate([np.zeros(3), accent])[:n]
    life = rng.uniform(0.7, 1.15)
    rig[:, INDEX["smile"]] = np.clip(0.25 + 0.09 * _wander(rng, n, 2.5) + 0.05 * nod, -0.1, 0.9)
    rig[:, INDEX["blink"]] = _blinks(rng, n)
    rig[:, INDEX["gaze_x"]], rig[:, INDEX["gaze_y"]] = _gaze(rng, n)
    rig[:, INDEX["brow"]] = np.clip(0.22 * _wander(rng, n, 0.9) + 0.45 * nod, -1, 1)
    yaw = life * 0.34 * _wander(rng, n, 1.0)
    pitch = life * (0.24 * _wander(rng, n, 0.8) + 0.30 * nod)
    roll = life * 0.32 * _wander(rng, n, 1.4)
    phase = rng.uniform(0, 2 * np.pi) + np.cumsum(2 * np.pi * 0.27 / FPS * (1 + 0.08 * _wander(rng, n, 3.0)))
    breath = 0.8 * np.sin(phase)
    rig[:, INDEX["yaw"]], rig[:, INDEX["pitch"]], rig[:, INDEX["roll"]] = yaw, pitch, roll
    rig[:, INDEX["shift_x"]] = 0.7 * yaw + 0.8 * roll
    rig[:, INDEX["shift_y"]] = 0.7 * pitch + 0.35 * breath
    rig[:, INDEX["breath"]] = breath
    rig[:, INDEX["yaw"]:] = np.clip(rig[:, INDEX["yaw"]:], -1.4, 1.4)
    return rig.astype(np.float32)
