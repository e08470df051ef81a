"""The drawn avatars: twelve designed ones and any number of random ones, each a plain description that the renderer builds."""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass

from .shapes import Rgb, mix, rgb

STYLES = ("soft", "anime", "flat")
SKINS = ("#fde0cd", "#f2c29b", "#e8b48c", "#d9a178", "#c98f68", "#8d5a3b", "#6f4530", "#f3cdb4")
HAIRS = ("#1f1614", "#5b3322", "#8a3b22", "#d9a441", "#b8b4b0")
HAIR_CUTS = ("long", "bob", "short", "spiky", "pony", "bun", "afro")
BACKDROPS = ("circle", "bokeh", "stripes", "window", "hills")
COLLARS = ("crew", "v", "suit", "hood")


@dataclass(frozen=True)
class AvatarSpec:
    """All properties in which avatars differ. Colours are RGB 0..255, lengths are design units (512 a side)."""

    id: str
    name: str
    style: str
    skin: Rgb
    hair: Rgb
    haircut: str
    eye: Rgb
    shirt: Rgb
    backdrop_top: Rgb
    backdrop_bottom: Rgb
    backdrop: str
    face_width: float = 104.0
    face_height: float = 128.0
    jaw: float = 0.35
    eye_scale: float = 1.0
    mouth_scale: float = 1.0
    glasses: Rgb | None = None
    beard: Rgb | None = None
    accessory: str | None = None
    blush: float = 0.0
    lip: Rgb | None = None
    collar: str = "crew"
    kind: str = "human"
    seed: int = 0

    @property
    def shadow(self) -> Rgb:
        return mix(self.skin, (90, 30, 40), 0.28)

    @property
    def lips(self) -> Rgb:
        return self.lip or mix(self.skin, (190, 60, 70), 0.5)

    @property
    def ink(self) -> Rgb:
        return mix(self.hair, (30, 15, 25), 0.6)


def _designed(
    id: str, style: str, skin: str, hair: str, haircut: str, eye: str, shirt: str, top: str, bottom: str, backdrop: str, **rest: object
) -> AvatarSpec:
    for colour in ("glasses", "beard", "lip"):
        if colour in rest:
            rest[colour] = rgb(str(rest[colour]))
    return AvatarSpec(
        id, id.capitalize(), style, rgb(skin), rgb(hair), haircut, rgb(eye), rgb(shirt), rgb(top), rgb(bottom), backdrop, **rest  # type: ignore[arg-type]
    )


_ANIME = {"face_width": 102.0, "face_height": 118.0}

DESIGNED: tuple[AvatarSpec, ...] = (
    _designed("mia", "soft", "#eec0a0", "#5b3322", "long", "#4d7f6b", "#2f6f73", "#f5dcc8", "#d79a86", "bokeh", blush=0.35, lip="#c9566a", collar="v"),
    _designed("hana", "anime", "#fde0cd", "#e8638c", "pony", "#3f7fd0", "#f4f4fa", "#cfe4ff", "#9fb8f5", "stripes", jaw=0.75, blush=0.6, collar="hood", **_ANIME),
    _designed("kofi", "flat", "#8d5a3b", "#1f1614", "afro", "#3d2415", "#f2b632", "#3fa99a", "#2a7f86", "circle", lip="#8c3a3a"),
    _designed("kenji", "soft", "#d9a178", "#2a2324", "short", "#4a3424", "#2c3650", "#cdd6e2", "#8795ad", "window", collar="suit", glasses="#2b2b33", jaw=0.22, face_width=106.0),
    _designed("ren", "anime", "#fbe3d6", "#3b4a8a", "spiky", "#c25a2f", "#2e2f3d", "#ffe2b8", "#ff9f7a", "hills", jaw=0.7, collar="hood", blush=0.25, face_width=100.0, face_height=118.0),
    _designed("miso", "soft", "#f0a85a", "#b5682a", "bald", "#5a7a3a", "#4b8f6a", "#e6f0d2", "#a6c98f", "hills", kind="cat", face_width=116.0, face_height=104.0, jaw=0.1, collar="hood"),
    _designed("bolt", "soft", "#c9d4e0", "#8894a6", "bald", "#5a7a3a", "#5a6880", "#2c2f55", "#171a33", "bokeh", kind="robot", face_width=108.0, face_height=112.0, collar="none"),
    _designed("ella", "flat", "#f4c9a8", "#d9a441", "bob", "#3b77a8", "#d95763", "#ffe9d0", "#ffcf9e", "circle", glasses="#a03048", blush=0.4, lip="#d0505f"),
    _designed("amara", "soft", "#6f4530", "#17120f", "bun", "#2f1c10", "#8f4fa8", "#f3d3a2", "#c9793f", "bokeh", lip="#8f3b48", collar="v", accessory="flower", blush=0.15),
    _designed("finn", "flat", "#e8b48c", "#8a3b22", "short", "#4f7a4a", "#3d7d4f", "#d7e8f7", "#9cc3e0", "hills", beard="#8a3b22", jaw=0.2),
    _designed("priya", "anime", "#c98f68", "#2b2030", "bob", "#8f5fc0", "#38b0a5", "#f7d7ee", "#c59fe0", "bokeh", jaw=0.7, blush=0.4, accessory="headset", **_ANIME),
    _designed("walter", "soft", "#f3cdb4", "#b8b4b0", "short", "#5f87a8", "#7a4b3a", "#d8d2c4", "#96876f", "window", beard="#c9c4be", collar="suit", jaw=0.25),
)

SHIPPED = ("mia", "hana", "kofi", "kenji", "miso", "bolt")
"""The designed avatars that ship; the rest of the gallery are people, who are rendered."""


def designed(id: str) -> AvatarSpec:
    """The designed avatar called `id`; raises KeyError naming the known ones."""
    for spec in DESIGNED:
        if spec.id == id:
            return spec
    raise KeyError(f"no designed avatar {id!r}; known: {', '.join(spec.id for spec in DESIGNED)}")


def random_spec(seed: int) -> AvatarSpec:
    """An avatar drawn from the family of the designed ones; the same seed gives the same avatar."""
    rng = random.Random(seed)

    def hsv(hue: float, saturation: float, value: float) -> Rgb:
        return rgb([255 * channel for channel in colorsys.hsv_to_rgb(hue % 1, saturation, value)])

    kind = "human" if rng.random() < 0.9 else rng.choice(("cat", "robot"))
    style = "soft" if kind != "human" else rng.choice(STYLES)
    anime = style == "anime"
    hue = rng.random()
    dyed = rng.random() < 0.3
    hair = hsv(rng.random(), rng.uniform(0.4, 0.65), rng.uniform(0.35, 0.8)) if dyed else rgb(rng.choice(HAIRS))
    haircut = rng.choice(HAIR_CUTS) if kind == "human" else "bald"
    skin = rgb(rng.choice(SKINS))
    if kind == "cat":
        skin = hsv(rng.uniform(0.02, 0.13), rng.uniform(0.1, 0.65), rng.uniform(0.45, 0.95))
    if kind == "robot":
        skin = hsv(rng.random(), rng.uniform(0.03, 0.35), rng.uniform(0.6, 0.92))
    heights = {"cat": (100, 108), "robot": (108, 116)}.get(kind, (114, 122) if anime else (119, 132))
    widths = {"cat": (110, 118), "robot": (104, 110)}.get(kind, (97, 110))
    jaws = (0.08, 0.2) if kind != "human" else (0.6, 0.8) if anime else (0.2, 0.45)
    bearded = haircut == "short" and not anime and rng.random() < 0.35
    return AvatarSpec(
        id=f"random-{seed}",
        name=f"Random {seed}",
        style=style,
        skin=mix(skin, hsv(rng.random(), 0.3, 0.8), rng.uniform(0, 0.12)),
        hair=hair,
        haircut=haircut,
        eye=hsv(rng.random(), rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.75)),
        shirt=hsv(rng.random(), rng.uniform(0.2, 0.7), rng.uniform(0.3, 0.9)),
        backdrop_top=hsv(hue, rng.uniform(0.1, 0.45), rng.uniform(0.3, 1.0)),
        backdrop_bottom=hsv(hue + rng.uniform(-0.08, 0.08), rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.85)),
        backdrop=rng.choice(BACKDROPS),
        face_width=rng.uniform(*widths),
        face_height=rng.uniform(*heights),
        jaw=rng.uniform(*jaws),
        eye_scale=rng.uniform(0.93, 1.07),
        mouth_scale=rng.uniform(0.9, 1.12),
        glasses=rgb(rng.choice(("#2b2b33", "#a03048", "#3a5a9a"))) if kind == "human" and rng.random() < 0.3 else None,
        beard=hair if bearded else None,
        accessory=rng.choice((None,) * 5 + ("headset", "flower", "cap")) if kind == "human" else None,
        blush=rng.choice((0.0, 0.2, 0.5)) if kind == "human" else 0.0,
        lip=hsv(rng.uniform(0.92, 1.02), rng.uniform(0.35, 0.65), rng.uniform(0.5, 0.85)) if rng.random() < 0.4 else None,
        collar=rng.choice(COLLARS) if kind != "robot" else "none",
        kind=kind,
        seed=rng.randint(0, 9999),
    )
