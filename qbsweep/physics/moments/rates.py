"""What members of a family differ in: the couplings of edges, the losses of modes, and their detunings."""

from dataclasses import dataclass

import numpy as np

from qbsweep.arrays import Array, FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Factors of the couplings and losses of P members, and detunings in units of omega.

    Attributes
    ----------
    J : ndarray, shape (P,) or (edges, P)
        What the J and Gamma of all edges are multiplied by, or those of every edge.
    kappa : ndarray, shape (P,) or (N+1, P)
        What the losses of all modes are multiplied by, or that of every mode.
    detuning : ndarray, shape (N+1, P), or None
        Of every mode; None for the network's own.
    """

    J: FloatArray
    kappa: FloatArray
    detuning: FloatArray | None = None

    def __len__(self) -> int:
        return int(self.J.shape[-1])

    def of(self, members: Array) -> "Rates":
        """Return those of some members."""
        detuning = None if self.detuning is None else self.detuning[:, members]
        return Rates(self.J[..., members], self.kappa[..., members], detuning)

    @property
    def is_uniform(self) -> bool:
        """Whether two numbers make a member."""
        return self.J.ndim == self.kappa.ndim == 1 and self.detuning is None

    def coupling(self, edge: int) -> FloatArray:
        """Return the factor of an edge, shape (P,)."""
        return np.asarray(self.J if self.J.ndim == 1 else self.J[edge])

    def losses(self) -> FloatArray:
        """Return the factors of losses, shape (P, N+1) or (P, 1)."""
        return np.atleast_2d(self.kappa).T

    def loss(self, mode: int) -> FloatArray:
        """Return the factor of a mode's loss, shape (P,)."""
        return np.asarray(self.kappa if self.kappa.ndim == 1 else self.kappa[mode])
