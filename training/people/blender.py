"""Small helpers around Blender's Python module: meshes, curves, shader nodes. Places are decimetres with y up; Blender has z up."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np


def to_blender(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1).astype(np.float32)


def from_blender(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1)


def make_mesh(name: str, points: np.ndarray, faces: list[list[int]], smooth: bool = True) -> Any:
    """An object of points [n, 3] (y up) and polygons."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(to_blender(points).tolist(), [], faces)
    mesh.validate()
    if smooth:
        mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def set_attribute(mesh: Any, name: str, values: np.ndarray) -> None:
    """A value per point: float [n] or vector [n, 3]."""
    kind, key = ("FLOAT", "value") if values.ndim == 1 else ("FLOAT_VECTOR", "vector")
    if name in mesh.attributes:
        mesh.attributes.remove(mesh.attributes[name])
    attribute = mesh.attributes.new(name, kind, "POINT")
    attribute.data.foreach_set(key, np.ascontiguousarray(values, np.float32).ravel())


def get_attribute(mesh: Any, name: str) -> np.ndarray:
    values = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.attributes[name].data.foreach_get("vector", values)
    return values.reshape(-1, 3)


def points_of(mesh: Any) -> np.ndarray:
    values = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", values)
    return from_blender(values.reshape(-1, 3)).astype(np.float64)


def normals_of(mesh: Any) -> np.ndarray:
    values = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertex_normals.foreach_get("vector", values)
    return from_blender(values.reshape(-1, 3)).astype(np.float64)


def uv_of(mesh: Any) -> np.ndarray:
    """[n, 2] of the points; at a seam one of the values."""
    loops = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", loops)
    values = np.empty(len(mesh.loops) * 2, np.float32)
    mesh.uv_layers.active.data.foreach_get("uv", values)
    uv = np.zeros((len(mesh.vertices), 2), np.float32)
    uv[loops] = values.reshape(-1, 2)
    return uv


def triangles_of(mesh: Any) -> np.ndarray:
    mesh.calc_loop_triangles()
    values = np.empty(len(mesh.loop_triangles) * 3, np.int32)
    mesh.loop_triangles.foreach_get("vertices", values)
    return values.reshape(-1, 3)


def subdivide(thing: Any, levels: int) -> Any:
    """Replaces the object's mesh by its Catmull-Clark subdivision; attributes come along."""
    modifier = thing.modifiers.new("subdivide", "SUBSURF")
    modifier.levels = modifier.render_levels = levels
    return bake_modifiers(thing)


def bake_modifiers(thing: Any) -> Any:
    graph = bpy.context.evaluated_depsgraph_get()
    mesh = bpy.data.meshes.new_from_object(thing.evaluated_get(graph), preserve_all_data_layers=True, depsgraph=graph)
    thing.modifiers.clear()
    thing.data = mesh
    return thing


def make_strands(name: str, strands: np.ndarray, root_radius: np.ndarray, material: Any, tip: float = 0.25) -> Any:
    """Hair curves from strands [n, points, 3] and root radii [n], decimetres; they get thinner to `tip` of the root."""
    count, points, _ = strands.shape
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([points] * count)
    curves.points.foreach_set("position", to_blender(strands).ravel())
    along = np.linspace(0, 1, points)
    thin = 1 - (1 - tip) * np.clip((along - 0.3) / 0.7, 0, 1) ** 1.5
    curves.points.foreach_set("radius", (root_radius[:, None] * thin[None]).astype(np.float32).ravel())
    curves.materials.append(material)
    thing = bpy.data.objects.new(name, curves)
    bpy.context.scene.collection.objects.link(thing)
    return thing


class Nodes:
    """Writes a node tree in the order of its data."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()

    def add(self, kind: str, _out: int | str = 0, _set: dict[str, Any] | None = None, **inputs: Any) -> Any:
        """A node; inputs are values or sockets, named by the socket's name with _ for a space (or i0, i1 by position). @returns its output"""
        node = self.tree.nodes.new(kind)
        for key, value in (_set or {}).items():
            setattr(node, key, value)
        for key, value in inputs.items():
            if value is None:
                continue
            name = key.replace("_", " ")
            socket = node.inputs[int(key[1:])] if key[0] == "i" and key[1:].isdigit() else node.inputs[name]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node.outputs[_out]

    def math(self, operation: str, a: Any, b: Any = None, clamp: bool = False) -> Any:
        return self.add("ShaderNodeMath", 0, {"operation": operation, "use_clamp": clamp}, i0=a, i1=b)

    def attribute(self, name: str, _out: str = "Fac") -> Any:
        return self.add("ShaderNodeAttribute", _out, {"attribute_name": name})

    def ramp(self, value: Any, low: float, high: float, to_low: float = 0.0, to_high: float = 1.0) -> Any:
        """A smooth step from `low` to `high`."""
        return self.add(
            "ShaderNodeMapRange", 0, {"interpolation_type": "SMOOTHSTEP"},
            i0=value, i1=low, i2=high, i3=to_low, i4=to_high,
        )  # fmt: skip

    def noise(self, vector: Any, scale: float, detail: float = 4.0, roughness: float = 0.55) -> Any:
        """Fractal noise, about .5 +- .15."""
        return self.add("ShaderNodeTexNoise", "Fac", None, Vector=vector, Scale=scale, Detail=detail, Roughness=roughness)

    def voronoi(self, vector: Any, scale: float, randomness: float = 1.0) -> Any:
        """Distance to the nearest of scattered points."""
        return self.add("ShaderNodeTexVoronoi", "Distance", None, Vector=vector, Scale=scale, Randomness=randomness)

    def bump(self, height: Any, strength: float, distance: float, normal: Any = None) -> Any:
        return self.add("ShaderNodeBump", 0, None, Height=height, Strength=strength, Distance=distance, Normal=normal)

    def power_colour(self, terms: list[tuple[tuple[float, float, float], Any]], base: tuple[float, float, float]) -> Any:
        """base * product of transmittance ** amount, per channel."""
        channels = []
        for channel in range(3):
            value: Any = base[channel]
            for transmittance, amount in terms:
                value = self.math("MULTIPLY", self.math("POWER", transmittance[channel], amount), value)
            channels.append(value)
        return self.add("ShaderNodeCombineColor", 0, None, i0=channels[0], i1=channels[1], i2=channels[2])

    def finish(self, shader: Any) -> Any:
        output = self.tree.nodes.new("ShaderNodeOutputMaterial")
        self.tree.links.new(shader, output.inputs["Surface"])
        return self.material
