"""Small sweeps that have all there is: two solvers, several variables, labels of every kind."""

from typing import Any

COUPLINGS = [1e-3, 2e-3, 4e-3, 8e-3]


def moments(couplings: list[float] = COUPLINGS, N: tuple[int, ...] = (2, 3)) -> dict[str, Any]:
    """Moments with times: eight blocks of two points at `BLOCK_SECONDS`."""
    return {
        "name": "crash",
        "parameters": {"kappa": 0.003, "epsilon": 0.01},
        "sweep": {
            "topology": ["cascaded"],
            "coupling": ["nonreciprocal"],
            "N": list(N),
            "J": couplings,
            "n_th": [0, 1],
        },
        "times": {"linspace": [0, 10, 4], "unit": "1/kappa"},
        "outputs": ["energy_terminal", "ergotropy_terminal", "ergotropy", "energy_t"],
    }


def larger() -> dict[str, Any]:
    """That of `moments` with values in front of, between and behind the others, and more modes."""
    return moments([5e-4, 1e-3, 1.5e-3, *COUPLINGS[1:], 1.6e-2], (2, 3, 4))
