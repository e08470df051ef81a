"""Evaluates decoded frames: python3 -m talkmesh_nano.evaluate.decoded_frames --material DIR --run DIR; JSON on stdout, contact sheets in the run's folder.
Without --run it only draws the frames of the true motion, ID.truth.i420 beside the clips.

Everything is read from pixels: by probes that were fitted to drawn frames only (`pixel_probe`), and by the independent `judge`. A run's folder holds, per
clip, ID.i420 (frames), ID.latents (float32) and ID.points (landmarks); of rendered and photographed people also ID.truth.i420 and
ID.truth.points, as the evaluation's roll-out and judge write them.
"""
import argparse
import json
import os
import pickle
import zlib
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..decoder.pixels import to_i420
from ..motion.rig import FPS, decode_rig
from ..motion.tracks import rig_track
from ..render.avatar import Avatar
from ..speech.synthesis import loudness
from .clips import SEED, avatar_specs
from .by_clip import by_clip
from .judged import MOVED, Judged
from .measures import blinks_a_minute, correlation, frechet, offset_ms, pca, ratio_at
from .pixel_probe import SIZE, Probe, drawn, halved_yuv, steady

CLOSED, NEARLY = 0.1, 0.15
WINDOW, STRIDE = 12, 6
LEAST_CLIPS = 6
"""Of a set, from which its windows have enough frames for a distance."""
_avatars, _probes = {}, {}


def avatar_of(name):
    if name not in _avatars:
        _avatars[name] = Avatar(next(spec for spec in avatar_specs() if spec.id == name))
    return _avatars[name]


def probe_of(name, folder):
    """The avatar's probe, kept in the material's folder, because it is the same for every model."""
    if name not in _probes:
        path = folder / "avatars" / f"{name}.probe"
        if not path.exists():
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_bytes(pickle.dumps(Probe(avatar_of(name), [spec.id for spec in avatar_specs()].index(name))))
            partial.rename(path)
        _probes[name] = pickle.loads(path.read_bytes())
    return _probes[name]


def describe(i420, rig, name, folder):
    """What is measured of one clip's frames: readings [n, 3], features of every frame, changes from frame to frame, PSNR against the reference."""
    avatar, yuv = avatar_of(name), halved_yuv(i420)
    still = halved_yuv(to_i420(avatar.reference)[None])
    pooled = (yuv[:, 0] - still[:, 0]).reshape(-1, 32, 4, 32, 4).mean((2, 4)).reshape(len(yuv), -1)
    lips = steady(yuv, rig, avatar.geometry, avatar.landmarks, "mouth")[:, 0]
    lips = lips[:, :34, :46].reshape(-1, 17, 2, 23, 2).mean((2, 4)).reshape(len(yuv), -1)
    luma = np.asarray(i420).reshape(len(i420), -1)[:, : SIZE * SIZE].astype(np.float32)
    error = np.square(luma - to_i420(avatar.reference)[: SIZE * SIZE]).mean(1)
    return {
        "read": probe_of(name, folder).read(yuv, rig),
        "face": pooled.astype(np.float16),
        "lips": (lips - lips.mean(0)).astype(np.float16),
        "change": np.abs(np.diff(luma, axis=0)).mean(1),
        "psnr": 10 * np.log10(255**2 / np.maximum(error, 1e-6)),
    }


def truth(job):
    """Drawn frames of a clip, described; kept beside the clip, because they are the same for every model."""
    folder, clip = job
    path = folder / "clips" / f"{clip['id']}.truth.npz"
    if not path.exists():
        rig = np.load(folder / "clips" / f"{clip['id']}.npz")["rig"]
        frames = np.stack([to_i420(avatar_of(clip["avatar"]).draw(row)) for row in rig])
        frames.tofile(path.with_suffix(".i420"))
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(partial, frames=frames[::21], **describe(frames, rig, clip["avatar"], folder), **(drawn_again(folder, clip, rig) if clip["distances"] else {}))
        partial.rename(path)
    return dict(np.load(path))


def drawn_again(folder, clip, rig):
    """Features of the same words drawn with other motion of eyes and head: their distance from the truth is the best that can be reached."""
    pcm = np.frombuffer((folder / "clips" / f"{clip['id']}.pcm").read_bytes(), "<i2").astype(np.float32) / 32767
    other = rig_track(np.random.default_rng([SEED, 99, zlib.crc32(clip["id"].encode())]), rig[:, :4], loudness(pcm, len(rig)))
    frames = np.stack([to_i420(avatar_of(clip["avatar"]).draw(row)) for row in other])
    described = describe(frames, other, clip["avatar"], folder)
    return {"again_face": described["face"], "again_lips": described["lips"]}


def generated(folder, material, clip):
    frames = np.fromfile(folder / f"{clip['id']}.i420", np.uint8).reshape(-1, SIZE * SIZE * 3 // 2)
    rig = decode_rig(np.fromfile(folder / f"{clip['id']}.latents", np.float32).reshape(-1, 8, 2, 2))
    return {"frames": frames[::21], **describe(frames, rig, clip["avatar"], material)}


def windows(described, part):
    """Features of overlapping windows of 12 frames, [w, 12 * k]."""
    rows = np.concatenate([[d[part][at:at + WINDOW].ravel() for at in range(0, len(d[part]) - WINDOW + 1, STRIDE)] for d in described])
    return rows.astype(np.float32)


def lips(clips, true, made, chunk):
    """Scores of one set of clips."""
    kinds = {spec.id: spec.kind for spec in avatar_specs()}
    numbers = [drawn(clip["rig"]) for clip in clips]
    opening = [m["read"][:, 0] for m in made]
    human = [i for i, clip in enumerate(clips) if kinds[clip["avatar"]] == "human"]
    joined = np.concatenate
    silent, closed = joined([c["silent"] for c in clips]), joined([c["closed"] for c in clips])
    wrong = [numbers[(i + 1) % len(numbers)][:, 0] for i in range(len(numbers))]
    seen, drawn_seen = joined(opening), joined([t["read"][:, 0] for t in true])
    gap, wide = joined([n[:, 0] for n in numbers]), lambda rows: joined([rows[i] for i in human])
    open_wide = wide([n[:, 0] for n in numbers]) > NEARLY
    return {
        "clips": len(clips),
        "frames": len(seen),
        "opening correlation": correlation(seen, gap),
        "opening correlation, worst clip": min(correlation(o, n[:, 0]) for o, n in zip(opening, numbers)),
        "opening correlation of drawn frames (the probe's own limit)": correlation(drawn_seen, gap),
        "width correlation, open mouths": correlation(wide([m["read"][:, 1] for m in made])[open_wide], wide([n[:, 1] for n in numbers])[open_wide]),
        "width correlation of drawn frames": correlation(wide([t["read"][:, 1] for t in true])[open_wide], wide([n[:, 1] for n in numbers])[open_wide]),
        "wrong audio, opening correlation": correlation(seen, joined(wrong)),
        "lip offset, ms": offset_ms(opening, [n[:, 0] for n in numbers], FPS),
        "silent frames": int(silent.sum()),
        "silent frames with the mouth closed, %": 100 * float((seen[silent] < CLOSED).mean()),
        "the same of drawn frames, %": 100 * float((drawn_seen[silent] < CLOSED).mean()),
        "m b p: mean opening": float(seen[closed].mean()),
        "m b p: closed, %": 100 * float((seen[closed] < NEARLY).mean()),
        "opening spread, share of true": float(seen.std() / gap.std()),
        "blinks a minute": blinks_a_minute([m["read"][:, 2] for m in made], FPS),
        "blinks a minute, true": blinks_a_minute([n[:, 2] for n in numbers], FPS),
        "change at latent borders over inside": ratio_at([m["change"] for m in made], 4),
        "the same of drawn frames": ratio_at([t["change"] for t in true], 4),
        "change at chunk borders over inside": ratio_at([m["change"] for m in made], chunk),
        "movement, share of drawn": float(joined([m["change"] for m in made]).mean() / joined([t["change"] for t in true]).mean()),
    }


def distances(true, made):
    """Frechet distances of window features: `face` = 32x32 luma of the whole picture against the reference, `lips` = steadied mouth box; both
    over 12 frames, on 32 principal components of drawn windows, divided by the distance of a picture that never moves."""
    out = {}
    for part in ("face", "lips"):
        real, fake = windows(true, part), windows(made, part)
        project = pca(real, 32)
        real, fake = project(real), project(fake)
        # both kinds of features are 0 for a picture that never moves
        scale = frechet(real, np.repeat(project(np.zeros((1, len(true[0][part][0]) * WINDOW), np.float32)), len(real), 0))
        again = windows(true, f"again_{part}")
        out[f"{part}: generated"] = frechet(real, fake) / scale
        out[f"{part}: drawn again with another motion"] = frechet(real, project(again)) / scale
    return out


def to_rgb(i420):
    from ..decoder.pixels import i420_to_rgb

    return i420_to_rgb(i420)


def sheet(path, clips, true, made):
    """Truth above, generated below, for every clip: frames 21 apart."""
    rows = []
    for i in range(len(clips)):
        rows += [np.concatenate(list(to_rgb(frames[i]["frames"])[:10]), 1) for frames in (true, made)]
    picture = Image.fromarray(np.concatenate(rows))
    picture.resize((picture.width // 2, picture.height // 2), Image.BOX).save(path)


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--material", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    clips = json.loads((args.material / "material.json").read_text())["clips"]
    for clip in clips:
        clip.update(np.load(args.material / "clips" / f"{clip['id']}.npz"))
        clip["distances"] = sum(other["set"] == clip["set"] for other in clips) >= LEAST_CLIPS
    by_avatar = sorted((clip for clip in clips if clip["set"] not in MOVED), key=lambda clip: clip["avatar"])
    with Pool(min(len(os.sched_getaffinity(0)), 4)) as pool:
        whole = dict(zip((c["id"] for c in by_avatar), pool.map(evaluate_clip, [(args, clip) for clip in by_avatar], chunksize=2)))
    if args.run is not None:
        print(json.dumps(rounded(evaluated(args, clips, whole))))


def evaluated(args, clips, whole):
    """The report of one run; `whole` holds (truth, generated) of every drawn clip, described."""
    about = json.loads((args.run / "run.json").read_text())
    report = {"model": about["model"], "chunk": about["chunk"], "cost": about["cost"]}
    judge = Judged(args.material, args.run, clips)

    def probed(chosen):
        true, made = ([whole[clip["id"]][k] for clip in chosen] for k in (0, 1))
        return lips(chosen, true, made, about["framesPerChunk"])

    for name in ("held-out", "flite"):
        chosen = [clip for clip in clips if clip["set"] == name]
        if not chosen:
            continue
        true, made = ([whole[clip["id"]][k] for clip in chosen] for k in (0, 1))
        report[name] = probed(chosen)
        if chosen[0]["distances"]:
            report[name]["distance"] = distances(true, made)
        sheet(args.run / f"{name}.png", chosen, true, made)
        report[name]["tracks"] = [
            {"clip": c["id"], "true": drawn(c["rig"])[:, 0].round(3).tolist(), "read": m["read"][:, 0].round(3).tolist()} for c, m in list(zip(chosen, made))[:3]
        ]
        report[f"judged {name}"] = judge.section(name, probed)
    for name in MOVED:
        if any(clip["set"] == name for clip in clips):
            report[f"judged {name}"] = judge.section(name)
    report["calibration"] = judge.calibration()
    report["by clip"] = by_clip(clips, judge.openings(), {id_: made["read"][:, 0] for id_, (_, made) in whole.items()})
    return report


def evaluate_clip(job):
    torch.set_num_threads(1)
    args, clip = job
    return truth((args.material, clip)), None if args.run is None else generated(args.run, args.material, clip)


if __name__ == "__main__":
    main()
