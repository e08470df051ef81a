"""Camera, light, backdrop and the finished picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from PIL import Image, ImageFilter

from .blender import Nodes, make_mesh, to_blender

CAMERA_AWAY = 16.0


@dataclass(frozen=True)
class Light:
    """`world` names one of Blender's own panoramas (CC0). Angles in degrees: the key light comes from `key_side` (positive: picture's right)."""

    world: str = "interior"
    turn: float = 0.0
    strength: float = 0.5
    key_side: float = -40.0
    key_up: float = 35.0
    key: float = 260.0
    key_size: float = 7.0
    key_colour: tuple[float, float, float] = (1.0, 0.93, 0.86)
    rim: float = 60.0
    backdrop: str = "interior"
    backdrop_turn: float = 150.0
    backdrop_gain: float = 1.0
    exposure: float = 0.0


@dataclass(frozen=True)
class Frame:
    """What the picture shows: its height in decimetres at the face, and its middle."""

    span: float = 3.4
    middle_y: float = 7.1
    middle_x: float = 0.0


def panorama(name: str) -> Any:
    path = Path(bpy.utils.resource_path("LOCAL")) / "datafiles" / "studiolights" / "world" / f"{name}.exr"
    return bpy.data.images.load(str(path), check_existing=True)


def camera_place(eye_height: float) -> np.ndarray:
    return np.array([0.0, eye_height - 0.05, CAMERA_AWAY + 1.3])


def project(points: np.ndarray, frame: Frame, eye_height: float) -> np.ndarray:
    """[n, 2] places in the picture, 0..1 from its upper left corner."""
    place = camera_place(eye_height)
    away = (place[2] - points[:, 2]) / CAMERA_AWAY * frame.span
    x = 0.5 + (points[:, 0] - place[0]) / away - frame.middle_x / frame.span
    y = 0.5 - (points[:, 1] - place[1]) / away + (frame.middle_y - place[1]) / frame.span
    return np.stack([x, y], 1)


def set_up(frame: Frame, light: Light, eye_height: float) -> np.ndarray:
    """Camera, lights, world and backdrop. @returns the camera's place"""
    scene = bpy.context.scene
    place = camera_place(eye_height)
    camera = bpy.data.cameras.new("camera")
    camera.sensor_width = 36.0
    camera.lens = 36.0 * CAMERA_AWAY / frame.span
    camera.shift_y = (frame.middle_y - place[1]) / frame.span
    camera.shift_x = frame.middle_x / frame.span
    camera.clip_end = 500
    camera.dof.use_dof = True
    camera.dof.focus_distance = CAMERA_AWAY - 0.15
    camera.dof.aperture_fstop = 4.0 / 10
    thing = bpy.data.objects.new("camera", camera)
    thing.location = to_blender(place).tolist()
    thing.rotation_euler = (np.pi / 2, 0, 0)
    scene.collection.objects.link(thing)
    scene.camera = thing
    _world(light)
    focus = np.array([0.0, 7.0, 1.0])
    _area(focus, light.key_side, light.key_up, 15.0, light.key_size, light.key * 10, light.key_colour)
    _area(focus, 150.0 if light.key_side < 0 else -150.0, 35.0, 14.0, 4.0, light.rim * 10, (1.0, 0.97, 0.95))
    _backdrop(light, frame, place)
    return place


def _world(light: Light) -> None:
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    tree = world.node_tree
    tree.nodes.clear()
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = panorama(light.world)
    mapping, place = tree.nodes.new("ShaderNodeMapping"), tree.nodes.new("ShaderNodeTexCoord")
    mapping.inputs["Rotation"].default_value = (0, 0, np.radians(light.turn))
    background, out = tree.nodes.new("ShaderNodeBackground"), tree.nodes.new("ShaderNodeOutputWorld")
    background.inputs["Strength"].default_value = light.strength
    tree.links.new(place.outputs["Generated"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    tree.links.new(background.outputs["Background"], out.inputs["Surface"])
    bpy.context.scene.world = world


def catch_light(light: Light, corneas: list[Any]) -> None:
    """A small window that only the eyes reflect: without it they look dead."""
    seen = bpy.data.collections.new("corneas")
    for thing in corneas:
        seen.objects.link(thing)
    lamp = _area(np.array([0.0, 7.28, 1.3]), 0.45 * light.key_side, 22.0, 12.0, 5.0, 16000.0, (1.0, 1.0, 1.0))
    lamp.light_linking.receiver_collection = seen


def _area(focus: np.ndarray, side: float, up: float, away: float, size: float, watts: float, colour: tuple[float, float, float]) -> Any:
    lamp = bpy.data.lights.new("area", "AREA")
    lamp.size, lamp.energy, lamp.color = size, watts, colour
    lamp.shape = "SQUARE"
    a, b = np.radians(side), np.radians(up)
    direction = np.array([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)])
    thing = bpy.data.objects.new("area", lamp)
    thing.location = to_blender(focus + direction * away).tolist()
    from mathutils import Vector

    thing.rotation_euler = Vector(to_blender(direction).tolist()).to_track_quat("Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(thing)
    thing.visible_camera = False
    return thing


def _backdrop(light: Light, frame: Frame, camera: np.ndarray) -> None:
    """A part of a panorama out of focus: blurred by a disc in linear light, as a wide-open lens does."""
    source = panorama(light.backdrop)
    width, height = source.size
    pixels = np.empty(width * height * 4, np.float32)
    source.pixels.foreach_get(pixels)
    pixels = pixels.reshape(height, width, 4)[..., :3]
    pixels = np.roll(pixels, int(light.backdrop_turn / 360 * width), 1)
    across = 130
    top = height // 2 - across // 2 + 10
    part = np.clip(pixels[top : top + across, width // 2 - across // 2 : width // 2 + across // 2], 0, 14)
    size = 512
    rows = np.clip(np.linspace(0, across - 1, size), 0, across - 1)
    low = np.floor(rows).astype(int)
    high, share = np.minimum(low + 1, across - 1), (rows - low)[:, None, None]
    part = part[low] * (1 - share) + part[high] * share
    share = (rows - low)[None, :, None]
    part = part[:, low] * (1 - share) + part[:, high] * share
    y, x = np.mgrid[-size // 2 : size // 2, -size // 2 : size // 2]
    disc = np.clip(27 - np.hypot(x, y), 0, 1)
    disc /= disc.sum()
    spectrum = np.fft.rfft2(np.fft.ifftshift(disc))
    padded = np.stack([np.fft.irfft2(np.fft.rfft2(part[..., c]) * spectrum, (size, size)) for c in range(3)], -1)
    padded = np.clip(padded, 0, None) * light.backdrop_gain
    image = bpy.data.images.new("backdrop", size, size, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    image.pixels.foreach_set(np.concatenate([padded, np.ones((size, size, 1))], -1).astype(np.float32).ravel())
    nodes = Nodes("backdrop")
    colour = nodes.add("ShaderNodeTexImage", "Color", {"image": image, "interpolation": "Cubic"})
    material = nodes.finish(nodes.add("ShaderNodeEmission", 0, None, Color=colour, Strength=1.0))
    far = 20.0
    half = frame.span * (CAMERA_AWAY + far) / CAMERA_AWAY / 2 * 1.12
    y0, z0 = camera[1] + (frame.middle_y - camera[1]) * (CAMERA_AWAY + far) / CAMERA_AWAY, 1.3 - far
    corners = np.array([[-half, y0 - half, z0], [half, y0 - half, z0], [half, y0 + half, z0], [-half, y0 + half, z0]])
    thing = make_mesh("backdrop", corners, [[0, 1, 2, 3]], smooth=False)
    layer = thing.data.uv_layers.new(name="uv")
    layer.data.foreach_set("uv", np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32).ravel())
    thing.data.materials.append(material)
    for ray in ("diffuse", "glossy", "transmission", "shadow", "volume_scatter"):
        setattr(thing, f"visible_{ray}", False)


def render(path: Path, size: int, samples: int, threads: int, light: Light) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = samples
    scene.cycles.use_adaptive_sampling = True
    scene.cycles.adaptive_threshold = 0.04
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    scene.cycles.max_bounces = 6
    scene.cycles.diffuse_bounces = 2
    scene.cycles.glossy_bounces = 2
    scene.cycles.transmission_bounces = 5
    scene.cycles.transparent_max_bounces = 10
    scene.cycles.sample_clamp_indirect = 6.0
    scene.cycles.seed = 1
    scene.render.threads_mode = "FIXED"
    scene.render.threads = threads
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Filmic"
    scene.view_settings.look = "Medium High Contrast"
    scene.view_settings.exposure = light.exposure
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def develop(path: Path, out: Path, size: int, seed: int) -> None:
    """Down to `size`, with the softness and the grain of a camera."""
    picture = Image.open(path).convert("RGB")
    picture = picture.filter(ImageFilter.GaussianBlur(0.35 * picture.width / size)).resize((size, size), Image.LANCZOS)
    values = np.asarray(picture, np.float32)
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 1.0, values.shape[:2] + (1,)) * 1.1 + rng.normal(0, 0.6, values.shape)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    vignette = (1 - 0.07 * (x * x + y * y))[..., None]
    Image.fromarray(np.clip(values * vignette + grain, 0, 255).astype(np.uint8)).save(out, optimize=True)
