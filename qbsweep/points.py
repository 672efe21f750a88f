"""What a solver is given: a product of parameter values for one network."""

from dataclasses import dataclass

from qbsweep.physics.network import FloatArray, Network


@dataclass(frozen=True, slots=True)
class Points:
    """A product of parameter values for one network.

    Attributes
    ----------
    network : Network
        With unit J and kappa; the values below scale it.
    J : ndarray, shape (n_J, n_kappa)
        Couplings in units of omega; a matrix, because J_op depends on kappa.
    kappa, epsilon, omega, n_th, r, theta_r : ndarray, 1-d
    times : ndarray, shape (n_kappa, T), or None
        Times in 1/omega.
    """

    network: Network
    J: FloatArray
    kappa: FloatArray
    epsilon: FloatArray
    omega: FloatArray
    n_th: FloatArray
    r: FloatArray
    theta_r: FloatArray
    times: FloatArray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of (J, kappa, epsilon, omega, n_th, r, theta_r)."""
        rest = (self.epsilon, self.omega, self.n_th, self.r, self.theta_r)
        return (*self.J.shape, *(len(values) for values in rest))
