"""Colours, dashes and sizes that all drawings share."""

from qbsweep.physics.verdicts import SUSPECT_BRANCHES, SUSPECT_NUMERICS, SUSPECT_TRUNCATION

COLORS = ("#0a6ebd", "#e07b00", "#1b9e77", "#c03a76", "#6b4fb3", "#8a6d1f", "#4d4d4d", "#2bb6c4")

DASHES = ("solid", "dashed", "dotted", "dotdash")
SUSPECT_COLOR = "#d62728"
SUSPECT_MARKERS = {
    "suspect": "circle",
    SUSPECT_TRUNCATION: "circle",
    SUSPECT_BRANCHES: "triangle",
    SUSPECT_NUMERICS: "square",
}
"""How a point is marked, by its verdict; `suspect` alone is that of points of an earlier version."""
MARKERS = ("circle", "square", "triangle", "diamond")
COLORMAP = "viridis"
SHADE, BAND = "#5b6770", 0.16
"""The colour of what a chart is shaded with, and how opaque a band is."""
OPAQUE = {True: 0.13, False: 0.06}
"""Of a segment without drive, of one in which it changes."""
WIDTH, HEIGHT = 720, 380
