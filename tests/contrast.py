"""Contrast of what a page draws: WCAG 2.2's formula, for every mark and every text of a figure, on white and in the dark."""

import json
import re
from importlib.resources import files

TEXT, GRAPHICS = 4.5, 3.0
"""Least contrast: success criteria 1.4.3 (texts) and 1.4.11 (graphics)."""


def luminance(color):
    """Relative luminance of ``#rgb`` or ``#rrggbb``, as WCAG 2.2 defines it."""
    digits = {"white": "ffffff", "black": "000000"}.get(color, color.removeprefix("#"))
    digits = digits if len(digits) == 6 else "".join(2 * one for one in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def themes():
    """Each theme's colours by the names of page.css, and what its script exchanges in figures."""
    style = files("addersim.report").joinpath("page.css").read_text()
    script = files("addersim.report").joinpath("page.js").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#\w+);", block)) for block in re.findall(r":root \{([^}]*)\}", style))
    exchanged = json.loads(re.sub("'\"white\"': '\"(.*?)\"'", r'"white": "\1"', re.search("DARK = ({.*?});", script)[1]))
    return {"light": (light, {}), "dark": (light | dark, exchanged)}


def pale(page):
    """Marks and texts of a page's figures that are too near their background, each with theme and figure."""
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S)[1])
    found = []
    for theme, (colors, exchanged) in themes().items():
        for key, figure in figures.items():
            kinds = (("graphics", GRAPHICS, marks(figure)), ("text", TEXT, texts(figure)))
            for kind, least, drawn in kinds:
                shown = ({exchanged.get(color, color) for color in choice} for choice in drawn)
                found += [
                    (theme, key, kind, *sorted(choice))
                    for choice in shown
                    if max(contrast(color, colors["paper"]) for color in choice) < least
                ]
    return sorted(set(found))


def marks(figure):
    """Of each mark its fill and its outline, one of which has to be seen; lines, and dotted ones of the layout."""
    for trace in figure["data"]:
        if trace["type"] == "heatmap":
            continue
        marker = trace.get("marker", {})
        fills = marker.get("color", [])
        fills = fills if isinstance(fills, list) else [fills]
        edge = {marker["line"]["color"]} if "color" in marker.get("line", {}) else set()
        if "markers" in trace.get("mode", "markers"):
            yield from ({fill} | edge for fill in fills)
        if "lines" in trace.get("mode", ""):
            yield {trace["line"]["color"] if "color" in trace.get("line", {}) else fills[0]}
    yield from ({shape["line"]["color"]} for shape in figure["layout"].get("shapes", ()))


def texts(figure):
    """Colours of the figure's own texts: of all of it, of annotations, beside points, in spans of labels."""
    yield {figure["layout"]["font"]["color"]}
    yield from ({color} for color in re.findall(r"color:(#\w{6})", json.dumps(figure["layout"])))
    told = [trace.get("textfont", {}) for trace in figure["data"] if trace["type"] != "heatmap"]
    told += [one.get("font", {}) for one in figure["layout"].get("annotations", ())]
    yield from ({one["color"]} for one in told if "color" in one)
