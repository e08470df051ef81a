"""Writes the results of published code into the folder of the TypeScript tests' fixtures.

    git clone REPOSITORY SOURCES/NAME && git -C SOURCES/NAME checkout COMMIT      # both are in livetalk.py and its neighbours
    /usr/bin/python3 -m published.write --sources SOURCES --out ../libs/inference/src/testing/published [NAME ..]

Needs PyTorch (1.13 is enough), einops, PIL and transformers 4.36.2. Each NAME runs in a process of its own, because the repositories share module names.
"""
import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import torch

from talkmesh_nano.export.safetensors import write_safetensors

NAMES = {
    "flash_head": "SoulX-FlashHead",
    "live_avatar": "LiveAvatar",
    "livetalk": "LiveTalk",
    "self_forcing": "Self-Forcing",
    "taehv": "taehv",
    "wan": "Wan2.1",
    "wan_vae": "Wan2.1",
    "wav2vec2": "LiveTalk",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("names", nargs="*", default=list(NAMES))
    options = parser.parse_args()
    if len(options.names) > 1:
        for name in options.names:
            subprocess.run([sys.executable, "-m", "published.write", "--sources", options.sources, "--out", options.out, name], check=True)
        return
    torch.set_num_threads(1)
    [name] = options.names
    made = importlib.import_module(f"published.{name}")
    results = made.run(options.sources.resolve() / NAMES[name])
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{name}.safetensors"
    write_safetensors(path, results, {"repository": made.REPOSITORY, "commit": made.COMMIT})
    print(f"{name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
