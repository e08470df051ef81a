"""Makes the material on which a model is evaluated: python3 -m talkmesh_nano.evaluate.clips --out DIR [--clips N] [--foreign N]
[--people ID ... --rendered N]
[--photographs ID ... --photographed N].

Voices, words and avatars that training does not use, with their motion; speech by another synthesiser (Flite); and the first clips again for rendered and for
photographed faces, by turns.
DIR/material.json, avatars/ID.png, clips/ID.pcm (PCM16 mono 24 kHz), clips/ID.npz (rig [frames, 15], closed, silent [frames]); of the last two
also clips/ID.latents, the true motion.
"""
import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from ..dataset.stretches import SAMPLES_PER_FRAME, make_track
from ..decoder.data import HELD_OUT_SEED
from ..motion.rig import FPS, encode_rig
from ..motion.tracks import rig_track
from ..motion.visemes import viseme_track
from ..render.avatar import Avatar
from ..render.avatars import DESIGNED, random_spec
from ..speech.synthesis import RATE_HZ, loudness
from ..speech.text import sentence
from .speech import VOICES, flite

SEED = 2500
FRAMES = 252
"""A whole number of chunks of 3 latent frames and of 7."""
UNSEEN, SHIPPED = 8, 4


def avatar_specs():
    """Specs of the avatars that appear: unseen ones first, then some that ship."""
    return [random_spec(HELD_OUT_SEED + i) for i in range(UNSEEN)] + list(DESIGNED[:SHIPPED])


def held_out(index):
    """(pcm float32, rig, closed, silent) of a clip by voices and words of the test split; every other one with rooms, noise and level changes."""
    rng = np.random.default_rng([SEED, index])
    return make_track(rng, FRAMES / FPS, split="test", augmented=index % 2 == 1, talk=0.8)


def foreign(index):
    """The same by another synthesiser: (pcm, rig, closed, silent, voice)."""
    rng = np.random.default_rng([SEED + 1, index])
    voice = VOICES[index % len(VOICES)]
    pcm, phonemes, at = np.zeros(FRAMES * SAMPLES_PER_FRAME, np.float32), [(0.0, "")], 0.4
    while at < FRAMES / FPS:
        speech, names, length = flite(sentence(rng, "test"), voice)
        start = int(at * RATE_HZ)
        part = speech[: len(pcm) - start]
        pcm[start:start + len(part)] += part
        phonemes += [(at + t, name) for t, name in names] + [(at + length, "")]
        at += length + 0.3
    energy = loudness(pcm, FRAMES)
    mouth, closed, silent = viseme_track(phonemes, FRAMES / FPS, FRAMES, energy)
    return pcm, rig_track(rng, mouth, energy), closed, silent, voice


def write_clip(folder, name, pcm, rig, closed, silent):
    """One clip's files."""
    (folder / f"{name}.pcm").write_bytes(np.round(np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes())
    np.savez(folder / f"{name}.npz", rig=rig, closed=closed, silent=silent)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--foreign", type=int, default=6)
    parser.add_argument("--people", nargs="*", default=[])
    parser.add_argument("--rendered", type=int, default=0)
    parser.add_argument("--photographs", nargs="*", default=[])
    parser.add_argument("--photographed", type=int, default=0)
    args = parser.parse_args()
    out = Path(args.out)
    for name in ("avatars", "clips"):
        (out / name).mkdir(parents=True, exist_ok=True)
    specs, avatars, clips = avatar_specs(), [], []
    for i, spec in enumerate(specs):
        avatar = Avatar(spec)
        Image.fromarray(avatar.reference).save(out / "avatars" / f"{spec.id}.png")
        avatars.append({"id": spec.id, "style": spec.style, "kind": spec.kind, "unseen": i < UNSEEN, "landmarks": avatar.landmarks.round(2).tolist()})
    for i in range(args.clips):
        write_clip(out / "clips", f"held-out-{i}", *held_out(i))
        clips.append({"id": f"held-out-{i}", "set": "held-out", "avatar": specs[i % len(specs)].id, "frames": FRAMES})
    for i in range(args.foreign):
        *clip, voice = foreign(i)
        write_clip(out / "clips", f"flite-{i}", *clip)
        clips.append({"id": f"flite-{i}", "set": "flite", "voice": voice, "avatar": specs[(3 * i + 1) % len(specs)].id, "frames": FRAMES})
    for name, count, faces in (("rendered", args.rendered, args.people), ("photographed", args.photographed, args.photographs)):
        for i in range(count):
            clip = held_out(i)
            write_clip(out / "clips", f"{name}-{i}", *clip)
            encode_rig(clip[1]).astype("<f4").tofile(out / "clips" / f"{name}-{i}.latents")
            clips.append({"id": f"{name}-{i}", "set": name, "avatar": faces[i % len(faces)], "frames": FRAMES})
    (out / "material.json").write_text(json.dumps({"seed": SEED, "fps": FPS, "avatars": avatars, "clips": clips}, indent=1))


if __name__ == "__main__":
    main()
