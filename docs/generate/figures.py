"""Draw the pictures of the README and the gallery from the workflows, solved where they are not: `make figures`."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import qbsweep as qb
from qbsweep.analysis.registry import analyze
from qbsweep.figures.gallery import charts
from qbsweep.figures.print import draw
from qbsweep.physics.topologies import optimal_coupling

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "gallery"
COLORS = {"cascaded": "#0a6ebd", "parallel": "#e07b00"}
CHARTS = {
    "fig1": "J_op-N",
    "fig2": "modes-in-time",
    "fig3": "ratio_at_J_op-N",
    "fig4": "terminal-energy_t",
    "fig5": "ergotropy_terminal-n_th",
    "fig6": "ergotropy_terminal-r",
    "convergence": "truncation_error-fock_levels",
    "settling": "settling_time-N",
    "bistable": "energy_charger-epsilon",
    "imperfect": "energy_terminal-J-gamma_ratio",
    "disorder": "median-N",
    "storage": "terminal-energy_t",
}
"""Which chart of a workflow's report the gallery shows."""


def draw_energy(axes: Axes, ds: xr.Dataset) -> None:
    """Terminal energy against J for a few N."""
    for topology, color in COLORS.items():
        for N in (2, 8, 30):
            one = ds.sel(topology=topology, N=N)
            J, energy = one.J_abs.values / ds.kappa.item(), one.energy_terminal.values
            axes.plot(J, energy, color=color, label=topology if N == 2 else None)
            best = energy.argmax()
            axes.plot(J[best], energy[best], "o", color=color, markersize=4)
            axes.annotate(f"N = {N}", (J[best], energy[best] * 1.25), ha="center", color=color, fontsize=8)
    axes.set(xscale="log", yscale="log", ylim=(5e-3, 20), xlabel=r"coupling $J/\kappa$")
    axes.set(ylabel=r"terminal energy $E_N/\omega$")
    axes.legend(frameon=False, loc="lower left")


def draw_optimum(axes: Axes, ds: xr.Dataset) -> None:
    """J at the largest sampled energy, and the closed form (10)."""
    kappa = ds.kappa.item()
    best = ds.J_abs.isel(J=ds.energy_terminal.argmax("J")) / kappa
    shown = np.unique(np.geomspace(1, 50, 14).astype(int))
    for topology, color in COLORS.items():
        axes.plot(ds.N, optimal_coupling(topology, ds.N.values, 1.0), color=color, linewidth=1)
        axes.plot(shown, best.sel(topology=topology, N=shown), "o", color=color, markersize=4)
    axes.annotate(r"cascaded, $\propto N$", (14, 6.5), ha="right", color=COLORS["cascaded"])
    axes.annotate(r"parallel, $\propto N^{-1/2}$", (14, 0.16), ha="left", color=COLORS["parallel"])
    axes.set(xscale="log", yscale="log", xlabel="number of batteries $N$", ylabel=r"optimal coupling $J_{op}/\kappa$")


def draw_overview(ds: xr.Dataset) -> None:
    """Draw the picture of the README."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.3), layout="constrained")
    draw_energy(left, ds)
    draw_optimum(right, ds)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    figure.savefig(PICTURES / "overview.png", dpi=120)


def draw_chart(name: str, ds: xr.Dataset) -> None:
    """Draw the chart that the gallery shows of a workflow, as `qbsweep report --png` does."""
    (chart,) = [chart for chart in charts(ds, analyze(ds)[0]) if chart.name == CHARTS[name]]
    draw(chart).savefig(PICTURES / f"{name}.png", dpi=200)


if __name__ == "__main__":
    for workflow in CHARTS:
        dataset = qb.run(ROOT / "workflows" / f"{workflow}.yaml", ROOT / "runs" / workflow).dataset.load()
        draw_chart(workflow, dataset)
        if workflow == "fig1":
            draw_overview(dataset)
