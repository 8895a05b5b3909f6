"""A scene as a picture: SVG text first, pixels second.

Contract: `scene_svg(scene)` is a complete SVG document of `CANVAS` units and a pure function of the scene: the same
scene gives the same text on every machine. `rasterize(svg, size)` gives an RGB image of size x size pixels through
resvg; `draw(scene, size)` is both. Nearer figures (larger y) are drawn over farther ones; the only id in the text is
the backdrop's gradient.
"""

from __future__ import annotations

import io

import resvg
from PIL import Image

from plvm_lab.portraits.backdrop import backdrop_svg, light_svg
from plvm_lab.portraits.body import body_svg, held_svg
from plvm_lab.portraits.head import head_svg
from plvm_lab.portraits.scene import CANVAS, Figure, Scene

_OPTIONS = resvg.usvg.Options.default()
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _free_side(figure: Figure, figures: tuple[Figure, ...]) -> int:
    """1 or -1: the side (right, left) with more room up to the next person or the canvas edge."""
    ahead = [f.x - figure.x for f in figures if f is not figure]
    right = min([d for d in ahead if d > 0] + [CANVAS - figure.x])
    left = min([-d for d in ahead if d <= 0] + [figure.x])
    return 1 if right >= left else -1


def _figure_svg(figure: Figure, side: int) -> str:
    """One person: hair behind, body, head, and in front of it what the hands hold, on `side`."""
    person, look = figure.person, figure.look
    behind, front = head_svg(person, look)
    tilted = f'<g transform="rotate({look.tilt:g} 0 40)">'
    return (
        f'<g transform="translate({figure.x:.1f} {figure.y:.1f}) scale({figure.scale:g})">'
        f"{tilted}{behind}</g>{body_svg(person, look)}{tilted}{front}</g>"
        f"{held_svg(person, look, side)}</g>"
    )


def scene_svg(scene: Scene) -> str:
    """The whole picture as an SVG document."""
    people = "".join(_figure_svg(f, _free_side(f, scene.figures)) for f in sorted(scene.figures, key=lambda f: f.y))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CANVAS} {CANVAS}">'
        f"{backdrop_svg(scene.place, scene.detail_seed, scene.light)}{people}{light_svg(scene.light)}</svg>"
    )


def _png(svg: str, size: int) -> bytes:
    """The document as a PNG."""
    sized = svg.replace("<svg ", f'<svg width="{size}" height="{size}" ', 1)
    return resvg.render(resvg.usvg.Tree.from_str(sized, _OPTIONS), _IDENTITY)


def rasterize(svg: str, size: int) -> Image.Image:
    """The pixels of an SVG document that has a viewBox and no size of its own: RGB, size x size."""
    return Image.open(io.BytesIO(_png(svg, size))).convert("RGB")


def draw(scene: Scene, size: int = 512) -> Image.Image:
    """The scene as an RGB image of size x size pixels."""
    return rasterize(scene_svg(scene), size)
