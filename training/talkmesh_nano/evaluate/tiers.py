"""Lip and motion figures of latents: python3 -m talkmesh_nano.evaluate.tiers --material DIR --run DIR; JSON on stdout.

`--material` holds clips with their labels (evaluate.clips), `--run` the latents of some of them as ID.latents, float32. `npm run eval -- --tiers` calls it for every
number of steps.
"""
import argparse
import json
from pathlib import Path

import numpy as np

from ..motion.rig import decode_rig
from ..sizes import LATENT_FRAMES
from .score import lip_figures, motion_figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--material", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--frames", type=int, default=LATENT_FRAMES, help="latent frames of a chunk")
    args = parser.parse_args()
    made, true, flags = [], [], []
    for clip in json.loads((Path(args.material) / "material.json").read_text())["clips"]:
        path = Path(args.run) / f"{clip['id']}.latents"
        if not path.exists():
            continue
        labels = np.load(Path(args.material) / "clips" / f"{clip['id']}.npz")
        rig = decode_rig(np.fromfile(path, np.float32).reshape(-1, 8, 2, 2))
        made.append(rig)
        true.append(labels["rig"][: len(rig)])
        flags.append((labels["closed"].astype(int) + 2 * labels["silent"].astype(int))[: len(rig)])
    made, true, flags = np.stack(made), np.stack(true), np.stack(flags)
    report = lip_figures(made, true, flags, args.frames)
    print(json.dumps({**report, "motion": motion_figures(made.reshape(-1, 15))}))


if __name__ == "__main__":
    main()
