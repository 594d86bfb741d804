"""Blender's side of the renderer: geometry in, passes out. The only module that imports bpy.

It runs as a script in a process of its own (see `nanolab.synthesis.rendering.client`), possibly under another
interpreter that has bpy and NumPy but not nanolab, so it imports nothing of nanolab.

Protocol: one JSON object a line on standard input, ``{"scene": NPZ, "passes": EXR, "samples": N}``; one JSON object
a line answers, the request itself or ``{"error": TEXT}``; ``{"blend": BLEND, "object": NAME, "mesh": NPZ}`` asks for
an object's mesh instead. End of input ends the process. The unit of length
in a scene file is the pixel: x to the right, y up, z towards the beam, the substrate at z = 0.
"""

import argparse
import json
import os
import sys
from typing import Any, TextIO

import bpy
import numpy as np

# Outputs of a pixel besides Blender's own passes. Blender averages them over the pixel's samples; where those fell on
# two particles, the mean label is nobody's or a third one's, and the mean of the check, another number for each
# particle, tells so: it is the square of the label times the golden ratio, modulo 1, so that the check of a mean is not
# the mean of the checks.
LABEL, CHECK = "label", "check"
GOLDEN = 0.6180339887498949

CAMERA_ABOVE_PX = 10.0


def main() -> None:
    """Answer requests until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", choices=["cpu", "auto"], required=True)
    arguments = parser.parse_args()
    answers = _take_over_stdout()
    _set_up(arguments.threads)
    _say(answers, device=_choose_device(arguments.device), blender=bpy.app.version_string)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "blend" in request:
                _read(request["blend"], request["object"], request["mesh"])
            else:
                _render(request["scene"], request["passes"], request["samples"])
        except (RuntimeError, ValueError, OSError, MemoryError) as error:
            _say(answers, error=f"{type(error).__name__}: {error}")
        else:
            _say(answers, **request)


def _take_over_stdout() -> TextIO:
    """Keep the answers' channel to ourselves: Blender prints its progress on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, **content: Any) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def _set_up(threads: int) -> None:
    """Make an empty scene whose Cycles render gives label, depth, normal and ambient occlusion, and no light."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("world")
    scene.world.color = (0, 0, 0)  # no light: only geometry and occlusion are wanted
    scene.render.engine = "CYCLES"
    scene.render.threads_mode = "FIXED"
    scene.render.threads = threads
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.render.image_settings.color_depth = "32"
    scene.render.image_settings.exr_codec = "NONE"
    cycles = scene.cycles
    cycles.use_adaptive_sampling = cycles.use_denoising = False
    cycles.max_bounces = 0
    # Every sample hits the pixel's centre, to a hundredth of a pixel: a label is that of the centre.
    # (Not with the box filter, which is always one pixel wide.)
    cycles.pixel_filter_type = "BLACKMAN_HARRIS"
    cycles.filter_width = 0.01
    layer = scene.view_layers[0]
    layer.use_pass_combined = False
    layer.use_pass_z = layer.use_pass_normal = layer.use_pass_ambient_occlusion = True
    for name in (LABEL, CHECK):
        aov = layer.aovs.add()
        aov.name, aov.type = name, "VALUE"
    scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.camera.data.type = "ORTHO"
    scene.camera.data.sensor_fit = "HORIZONTAL"
    scene.collection.objects.link(scene.camera)
    _material()


def _choose_device(wanted: str) -> str:
    """Turn on the first kind of GPU that Cycles finds, unless only the CPU is wanted; return what renders."""
    if wanted == "cpu":
        return "cpu"
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for kind in ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI"):
        try:
            preferences.compute_device_type = kind
        except TypeError:  # this build of Blender does not know the kind
            continue
        preferences.get_devices()
        devices = [device for device in preferences.devices if device.type == kind]
        if devices:
            for device in preferences.devices:
                device.use = device.type == kind
            bpy.context.scene.cycles.device = "GPU"
            return kind.lower()
    return "cpu"


def _material() -> Any:
    """Return the one material: diffuse, so that ambient occlusion is evaluated, with label and check as outputs."""
    material = bpy.data.materials.new("particle")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    surface, diffuse = nodes.new("ShaderNodeOutputMaterial"), nodes.new("ShaderNodeBsdfDiffuse")
    links.new(diffuse.outputs["BSDF"], surface.inputs["Surface"])
    for name in (LABEL, CHECK):
        attribute, output = nodes.new("ShaderNodeAttribute"), nodes.new("ShaderNodeOutputAOV")
        attribute.attribute_name = output.aov_name = name
        links.new(attribute.outputs["Fac"], output.inputs["Value"])
    return material


def _read(blend: str, name: str, target: str) -> None:
    """Write vertices and triangles of an object in a .blend as it stands there, its modifiers applied."""
    with bpy.data.libraries.load(blend, link=False) as (there, wanted):
        if name not in there.objects:
            raise ValueError(f"no object {name!r}; it has {', '.join(map(repr, sorted(there.objects))) or 'none'}")
        wanted.objects = [name]
    body = wanted.objects[0]
    bpy.context.scene.collection.objects.link(body)
    shown = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = shown.to_mesh()
    mesh.transform(shown.matrix_world)
    mesh.calc_loop_triangles()
    vertices = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    triangles = np.empty(3 * len(mesh.loop_triangles), dtype=np.int32)
    mesh.vertices.foreach_get("co", vertices)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    np.savez(target, vertices=vertices.reshape(-1, 3), triangles=triangles.reshape(-1, 3))


def _render(scene_file: str, passes_file: str, samples: int) -> None:
    with np.load(scene_file, allow_pickle=False) as content:
        height, width = (int(value) for value in content["shape"])
        top = float(content["vertices"][:, 2].max(initial=1.0))
        mesh = _mesh(content["vertices"], content["triangles"], content["labels"], max(height, width))
        scene = bpy.context.scene
        scene.world.light_settings.distance = float(content["occlusion_distance"])
        scene.cycles.seed = int(content["seed"])
    scene.cycles.samples = samples
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.filepath = passes_file
    camera = scene.camera
    camera.data.ortho_scale = width
    camera.location = (width / 2, -height / 2, top + CAMERA_ABOVE_PX)
    camera.data.clip_start, camera.data.clip_end = 0.1, top + 2 * CAMERA_ABOVE_PX
    body = bpy.data.objects.new("particles", mesh)
    scene.collection.objects.link(body)
    try:
        bpy.ops.render.render(write_still=True)
    finally:
        bpy.data.objects.remove(body)
        bpy.data.meshes.remove(mesh)


def _mesh(vertices: Any, triangles: Any, labels: Any, size: int) -> Any:
    """Return one mesh of all particles and of the substrate, a square far larger than the image, label 0."""
    far = 3.0 * size
    ground = np.array([[-far, far, 0], [-far, -far, 0], [far, -far, 0], [far, far, 0]], dtype=np.float32)
    ground += np.array([size / 2, -size / 2, 0], dtype=np.float32)
    corners = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32) + len(vertices)
    points = np.concatenate([vertices.astype(np.float32), ground])
    faces = np.concatenate([triangles.astype(np.int32), corners])
    mesh = bpy.data.meshes.new("particles")
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    all_labels = np.concatenate([labels, [0, 0]])
    for name, values in ((LABEL, all_labels), (CHECK, all_labels.astype(np.float64) ** 2 * GOLDEN % 1)):
        mesh.attributes.new(name, "FLOAT", "FACE").data.foreach_set("value", values.astype(np.float32))
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    mesh.materials.append(bpy.data.materials["particle"])
    return mesh


if __name__ == "__main__":
    main()
