"""The colour scale of all pictures: lightness encodes the weight, so it survives print and colour blindness.

The scale is a path in OKLab (Ottosson 2020, "A perceptual color space for image processing"): lightness falls linearly
with the weight and the hue stays blue, the hue that red-green colour blindness leaves alone.
"""

import math

import numpy as np

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's palette (2008), safe for every kind of colour vision; without its pale yellow."""
LINK_COLOUR = "#c1440e"
"""Outline of predicted links: vermilion, far from blue for every common kind of colour vision."""
GOLD_COLOUR = "#f0b000"
"""Marks of gold links."""

_HUE = math.radians(255)
# Lightness and chroma at weight 0 and weight 1; the bulge adds chroma half-way, where the screen has room for it.
_ON_PAPER = ((0.99, 0.0), (0.26, 0.09))
_ON_DARK = ((0.22, 0.012), (0.96, 0.03))
_BULGE = 0.075


def colour_table(dark: bool = False, size: int = 256) -> np.ndarray:
    """Colours [size, 3], uint8 sRGB, from weight 0 to weight 1; `dark` starts from a dark page instead of paper."""
    (light_0, chroma_0), (light_1, chroma_1) = _ON_DARK if dark else _ON_PAPER
    weight = np.linspace(0.0, 1.0, size)
    lightness = light_0 + (light_1 - light_0) * weight
    chroma = chroma_0 + (chroma_1 - chroma_0) * weight + _BULGE * np.sin(np.pi * weight)
    return _srgb_from_oklab(lightness, chroma * math.cos(_HUE), chroma * math.sin(_HUE))


def text_on(colour: np.ndarray) -> str:
    """Black or white, whichever is easier to read on a colour of the table."""
    red, green, blue = (_linear(float(channel) / 255) for channel in colour)
    # WCAG 2 contrast ratios with white and with black are equal at a relative luminance of 0.179.
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "white"


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _srgb_from_oklab(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Ottosson's inverse transformation, then the sRGB transfer function."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ],
        axis=-1,
    ).clip(0.0, 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(curved * 255).astype(np.uint8)
