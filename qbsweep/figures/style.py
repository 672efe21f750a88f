"""Colours, dashes and sizes that all drawings share."""

COLORS = ("#0a6ebd", "#e07b00", "#1b9e77", "#c03a76", "#6b4fb3", "#8a6d1f", "#4d4d4d", "#2bb6c4")

DASHES = ("solid", "dashed", "dotted", "dotdash")
SUSPECT_COLOR = "#d62728"
MARKERS = ("circle", "square", "triangle", "diamond")
WIDTH, HEIGHT = 720, 380
