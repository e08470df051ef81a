"""The measures of the evaluation, on plain arrays."""
import numpy as np


def correlation(first, second):
    """Pearson correlation; 0 when one of the tracks never moves."""
    if np.std(first) < 1e-9 or np.std(second) < 1e-9:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def offset_ms(measured, true, fps, reach=6):
    """By how much `measured` trails `true` (lists of tracks), milliseconds: top of a parabola through the best lag's correlation and its neighbours'."""

    def at(lag):
        pairs = [(s[reach + lag:len(s) - reach + lag], t[reach:-reach]) for s, t in zip(measured, true)]
        return correlation(np.concatenate([s for s, _ in pairs]), np.concatenate([t for _, t in pairs]))

    scores = {lag: at(lag) for lag in range(-reach, reach + 1)}
    best = max(range(-reach + 1, reach), key=scores.get)
    before, top, after = scores[best - 1], scores[best], scores[best + 1]
    bend = before - 2 * top + after
    return float((best + (0.5 * (before - after) / bend if abs(bend) > 1e-9 else 0)) * 1000 / fps)


def blinks_a_minute(tracks, fps):
    """Rises of the eyelid through one half, per minute of all tracks."""
    rises = sum(int(((track[1:] > 0.5) & (track[:-1] <= 0.5)).sum()) for track in tracks)
    return rises / (sum(len(track) for track in tracks) / fps / 60)


def ratio_at(changes, every):
    """Mean change from frame to frame where a group of `every` frames begins, over the mean elsewhere; tracks of n - 1 changes."""
    border = [np.arange(1, len(change) + 1) % every == 0 for change in changes]
    at, inside = (np.concatenate([change[mask if yes else ~mask] for change, mask in zip(changes, border)]).mean() for yes in (True, False))
    return float(at / inside)


def pca(rows, components):
    """A projection to `components` principal components of `rows` [n, k], fitted on them."""
    mean = rows.mean(0)
    gram = (rows - mean) @ (rows - mean).T
    power, vectors = np.linalg.eigh(gram.astype(np.float64))
    keep = slice(-min(components, len(rows) - 1), None)
    basis = (rows - mean).T @ (vectors[:, keep] / np.sqrt(np.maximum(power[keep], 1e-9))).astype(np.float32)
    return lambda points: ((points - mean) @ basis).astype(np.float64)


def frechet(first, second):
    """Frechet distance of two sets of feature vectors [n, k] seen as Gaussians: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))."""
    difference = np.square(first.mean(0) - second.mean(0)).sum()
    a, b = np.cov(first.T), np.cov(second.T)
    power, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.maximum(power, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum()
    return float(difference + np.trace(a) + np.trace(b) - 2 * shared)


def loop_peak(tracks, least=125):
    """Largest autocorrelation of [n, k] tracks beyond `least` frames: near 1 would mean a loop."""
    x = tracks - tracks.mean(0)
    power = np.abs(np.fft.rfft(x, 2 * len(x), axis=0)) ** 2
    auto = np.fft.irfft(power, 2 * len(x), axis=0)[: len(x) // 2].sum(1)
    return float(auto[least:].max() / auto[0]) if len(auto) > least else 0.0
