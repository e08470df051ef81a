"""The people: invented faces, their hair, skin, clothes and light."""

from __future__ import annotations

from dataclasses import dataclass

from .anny_mesh import Identity
from .clothes import Cloth
from .eyes import Eyes
from .hair import Beard, Hair
from .scarf import Scarf
from .scene import Frame, Light
from .skin import Skin

CALM = {"mouthSmile": 0.32, "cheekSquint": 0.08, "eyeWide": 0.14}

BROWN = ((0.115, 0.05, 0.018), (0.05, 0.02, 0.008))
DARK = ((0.045, 0.019, 0.008), (0.02, 0.009, 0.004))
BLUE = ((0.20, 0.16, 0.09), (0.10, 0.17, 0.25))
HAZEL = ((0.16, 0.075, 0.02), (0.075, 0.07, 0.03))


@dataclass(frozen=True)
class Portrait:
    identity: Identity
    skin: Skin
    eyes: Eyes
    hair: Hair
    cloth: Cloth | None
    light: Light
    frame: Frame = Frame()
    beard: Beard = Beard()
    brow: tuple[int, float, float] = (420, 0.034, 0.0)
    brow_melanin: float = 0.8
    lash: tuple[int, int, float] = (110, 50, 0.085)
    scarf: Scarf | None = None


PEOPLE: dict[str, Portrait] = {
    "amina": Portrait(
        Identity({"caucasian": 0.75, "african": 0.25}, 0.0, 33, 0.0, 0.0, {"head/head-oval": 0.3, "eyes/eye-scale-incr": 0.3}, CALM, seed=11),
        Skin(0.72, 0.48, oily=0.35, lip_melanin=0.5, lip_blood=1.66, seed=11),
        Eyes(*BROWN, seed=11),
        Hair("none"),
        None,
        Light("interior", 120, 0.55, key_side=-35, backdrop="studio", backdrop_turn=100),
        brow=(504, 0.038, 0.03),
        brow_melanin=0.95,
        lash=(150, 60, 0.105),
        scarf=Scarf((0.20, 0.30, 0.36), seed=11),
    ),
    "arjun": Portrait(
        Identity({"caucasian": 0.7, "asian": 0.15, "african": 0.15}, 1.0, 41, 0.15, 0.0, {"nose/nose-hump-incr": 0.25, "head/head-square": 0.15}, CALM, seed=9),
        Skin(1.05, 0.50, stubble=0.7, wrinkles=0.3, oily=0.55, lip_melanin=0.75, lip_blood=1.31, seed=9),
        Eyes(*BROWN, seed=9),
        Hair("swept", 75000, 0.55, 0.95, 0.0, grey=0.04, part=-0.32, seed=9),
        Cloth("shirt", (0.30, 0.40, 0.55), weave=140, seed=9),
        Light("studio", 0, 0.28, key_side=40, backdrop="interior", backdrop_turn=250),
        beard=Beard(13000, 0.07),
        brow=(520, 0.044, 0.0),
        brow_melanin=0.95,
    ),
    "zuri": Portrait(
        Identity({"african": 1.0}, 0.0, 26, -0.1, 0.0, {"head/head-oval": 0.3, "eyes/eye-scale-incr": 0.3}, CALM, seed=15),
        Skin(2.25, 0.4, oily=0.6, lip_melanin=1.8, lip_blood=1.3, seed=15),
        Eyes(*DARK, seed=15),
        Hair("curls", 48000, 0.42, 0.98, 0.02, hairline=0.02, seed=15),
        Cloth("crew", (0.55, 0.30, 0.06), seed=15),
        Light("interior", 120, 0.55, key_side=38, backdrop="city", backdrop_turn=20, backdrop_gain=0.6),
        brow=(480, 0.038, 0.02),
        brow_melanin=0.96,
        lash=(140, 55, 0.10),
    ),
    "george": Portrait(
        Identity({"caucasian": 1.0}, 1.0, 66, 0.25, -0.2, {"nose/nose-scale-vert-incr": 0.2}, CALM, seed=13),
        Skin(0.30, 0.65, stubble=0.25, wrinkles=0.9, oily=0.5, lip_melanin=0.15, lip_blood=1.14, seed=13),
        Eyes(*BLUE, seed=13),
        Hair("crop", 70000, 0.14, 0.55, 0.0, grey=0.72, recede=0.6, lift=0.1, seed=13),
        Cloth("shirt", (0.10, 0.12, 0.16), weave=120, seed=13),
        Light("courtyard", 180, 0.40, key_side=-40, key=220, backdrop="courtyard", backdrop_turn=300, backdrop_gain=0.7, exposure=-0.1),
        beard=Beard(6000, 0.03, grey=0.8),
        brow=(456, 0.048, -0.01),
        brow_melanin=0.35,
        lash=(80, 30, 0.07),
    ),
    "clara": Portrait(
        Identity({"caucasian": 1.0}, 0.0, 29, -0.2, 0.0, {"head/head-oval": 0.4, "mouth/mouth-scale-horiz-incr": 0.2, "eyes/eye-scale-incr": 0.35}, CALM, seed=5),
        Skin(0.28, 0.55, freckles=0.8, oily=0.35, lip_melanin=0.15, lip_blood=1.49, seed=5),
        Eyes(*BLUE, seed=5),
        Hair("curls", 40000, 0.62, 0.62, 0.45, curl=0.045, hairline=0.02, seed=5),
        Cloth("turtle", (0.42, 0.36, 0.30), weave=50, relief=0.5, seed=5),
        Light("interior", 120, 0.45, key_side=35, backdrop="courtyard", backdrop_turn=60),
        brow=(396, 0.033, 0.02),
        brow_melanin=0.6,
        lash=(130, 60, 0.10),
    ),
    "samuel": Portrait(
        Identity({"african": 1.0}, 1.0, 32, 0.0, 0.2, {"head/head-oval": 0.3, "nose/nose-width2-decr": 0.2, "eyes/eye-scale-incr": 0.2}, CALM, seed=3),
        Skin(2.5, 0.4, stubble=0.6, oily=0.7, lip_melanin=1.8, lip_blood=1.22, seed=3),
        Eyes(*DARK, seed=3),
        Hair("crop", 90000, 0.055, 0.98, 0.03, lift=0.5, radius=0.0012, seed=3),
        Cloth("crew", (0.035, 0.06, 0.11), seed=3),
        Light("interior", 120, 0.5, key_side=-45, backdrop="interior", backdrop_turn=150),
        beard=Beard(13000, 0.05),
        brow=(420, 0.042, 0.0),
        brow_melanin=0.97,
    ),
}
