"""Exports what score.train tiers trained: the timestep embedding of a number of steps, as a second weights file of the model, which is otherwise unchanged.

python -m talkmesh_nano.score.export_tier --score CKPT --name best --steps 4 --cost 1.4 --out ../models/nano
`--cost` is the time of a chunk against that of the model's own number of steps (`npm run eval -- --tiers`). Then write the manifest again.
"""
import argparse
import json
from pathlib import Path

from ..export.safetensors import write_safetensors
from ..runs.run import load_score
from .describe import weights
from .flow import SCHEDULES


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--score", required=True, help="checkpoint")
    parser.add_argument("--name", required=True, choices=("fast", "best"))
    parser.add_argument("--steps", required=True, type=int, choices=sorted(SCHEDULES))
    parser.add_argument("--cost", type=float, help="measured; without it the services count passes")
    parser.add_argument("--out", required=True, help="model folder")
    args = parser.parse_args()
    score, _ = load_score(args.score)
    out, file = Path(args.out), f"score-{args.name}.safetensors"
    layers = ("time.inner.", "time.outer.")
    arrays = {f"{args.name}.{n}": a for n, a in weights(score).items() if n.startswith(layers)}
    write_safetensors(out / file, arrays)
    facts = json.loads((out / "score.json").read_text())
    tier = {"schedule": list(SCHEDULES[args.steps][:-1]), "time": {p: f"{args.name}.time.{p}" for p in ("inner", "outer")}}
    if args.cost is not None:
        tier["cost"] = args.cost
    facts["score"]["tiers"] = {**facts["score"].get("tiers", {}), args.name: tier}
    facts["score"]["weights"] = sorted({*facts["score"]["weights"], file}, key=lambda name: (name != "score.safetensors", name))
    (out / "score.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps({"file": file, "bytes": (out / file).stat().st_size, **tier}))


if __name__ == "__main__":
    main()
