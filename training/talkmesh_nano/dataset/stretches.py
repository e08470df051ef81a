"""Training material: stretches of (pcm, rig track) made on demand, and their latents."""
import numpy as np

from ..motion.rig import FPS, NEUTRAL
from ..motion.tracks import rig_track
from ..motion.visemes import viseme_track
from ..speech.augment import augment
from ..speech.synthesis import RATE_HZ, layout, loudness

SAMPLES_PER_FRAME = RATE_HZ // FPS


def make_track(rng, seconds, split="train", augmented=True, talk=None, quiet_db=30.0):
    """One stretch: (pcm float32 [seconds*24000], rig [frames, 15], closed bool [frames], silent bool [frames]).

    frames is a multiple of 12 (whole chunks). closed: m, b or p; silent: no speech near. One stretch in twelve has no
    speech at all, only silence, noise, breath or music, with a closed mouth.
    """
    frames = int(seconds * FPS) // 12 * 12
    seconds = frames / FPS
    if augmented and talk is None and rng.random() < 1 / 12:
        pcm, phonemes = np.zeros(frames * SAMPLES_PER_FRAME, np.float32), [(0.0, "")]
    else:
        pcm, phonemes = layout(rng, seconds, split, talk=talk)
    energy = loudness(pcm, frames)
    mouth, closed, silent = viseme_track(phonemes, seconds, frames, energy)
    rig = rig_track(rng, mouth, energy)
    if augmented:
        pcm = augment(rng, pcm, silent, quiet_db)
    return pcm, rig, closed, silent


def with_neutral_start(rig, frames=12):
    """The track with one neutral chunk in front: c_0."""
    return np.concatenate([np.tile(NEUTRAL, (frames, 1)), rig])
