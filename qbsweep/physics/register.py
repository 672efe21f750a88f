"""What a whole Gaussian network is worth: joint work, entanglement, purity, fluctuations of energy, power of the drive.

From amplitudes alpha and, with d = c - alpha, ``C[j,k] = <d_j^dag d_k>`` and ``S[j,k] = <d_j d_k>``. All functions are
stacked over leading axes. With ``c = (x + i p) / sqrt(2)`` the covariance of (x, p), all x before all p, is::

    V = 1/2 + [[Re C + Re S, Im C + Im S], [(Im C + Im S)^T, Re C - Re S]]            vacuum 1/2

and its symplectic eigenvalues nu >= 1/2 are the positive eigenvalues of ``i V^{1/2} Omega V^{1/2}``, a Hermitian
matrix. Rounding leaves in V some roundings of its largest variance, and in a nu as much more as this is larger than the
smallest variance: e^{4r} times in a pure state.

In the steady state of a uniform bath ``C = P 1`` and ``S = conj(Q) X``. With x_k the singular values of X, or of its
block of some modes (Takagi), and ``w_k = 1 - x_k^2``, a mode of that register has::

    nu_k^2 = (P + 1/2)^2 - |Q|^2 x_k^2 = (n_th + 1/2)^2 (1 + sinh^2(2r) w_k)

in which nothing cancels.
"""

import numpy as np

from qbsweep.arrays import Array, ComplexArray, FloatArray


def covariance(C: Array, S: Array) -> FloatArray:
    """Return V of quadratures, all x before all p, shape (..., 2n, 2n), from C and S, shape (..., n, n)."""
    mixed = C.imag + S.imag
    upper = np.concatenate([C.real + S.real, mixed], axis=-1)
    lower = np.concatenate([np.swapaxes(mixed, -1, -2), C.real - S.real], axis=-1)
    return np.concatenate([upper, lower], axis=-2) + np.eye(2 * C.shape[-1]) / 2


def symplectic_eigenvalues(V: Array) -> FloatArray:
    """Return those of a covariance of quadratures, ascending, shape (..., n): at least 1/2 in a physical state.

    NaN where V is not finite.
    """
    n = V.shape[-1] // 2
    is_finite: Array = np.asarray(np.isfinite(V).all(axis=(-2, -1)))
    values, vectors = np.linalg.eigh(np.where(is_finite[..., None, None], V, np.eye(2 * n)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]  # V = root root^T
    x, p = root[..., :n, :], root[..., n:, :]
    half = np.swapaxes(x, -1, -2) @ p
    turned = np.linalg.eigvalsh(1j * (half - np.swapaxes(half, -1, -2)))
    return np.asarray(np.where(is_finite[..., None], turned[..., n:], np.nan))


def condition(V: Array) -> FloatArray:
    """Return the largest over the smallest variance of any quadrature: how much more digits a nu loses than V.

    Infinite where V is not finite, or no state.
    """
    is_finite: Array = np.asarray(np.isfinite(V).all(axis=(-2, -1)))
    values = np.linalg.eigvalsh(np.where(is_finite[..., None, None], V, 0.0))
    return np.asarray(
        np.divide(values[..., -1], values[..., 0], out=np.full(values.shape[:-1], np.inf), where=values[..., 0] > 0)
    )


def register_ergotropy(alpha: Array, C: Array, S: Array) -> FloatArray:
    """Work that Gaussian unitaries extract from all given modes jointly, ``sum_m E_m - sum_k (nu_k - 1/2)``, in omega.

    It bounds the ergotropy from below: other unitaries may extract more. Without squeezing (S = 0) it is exactly
    ``sum |alpha_m|^2``.

    Parameters
    ----------
    alpha : array_like, shape (..., n)
    C, S : ndarray, shape (..., n, n)
        Of the modes of the register.
    """
    coherent = (np.abs(alpha) ** 2).sum(axis=-1)
    filling = np.trace(C, axis1=-2, axis2=-1).real
    share = filling - (symplectic_eigenvalues(covariance(C, S)) - 0.5).sum(axis=-1)
    return np.asarray(coherent + np.where(_is_squeezed(S), np.maximum(share, 0.0), 0.0))


def log_negativity(C: Array, S: Array) -> FloatArray:
    """Logarithmic negativity of mode 0 against all others, in nats: ``sum max(0, -ln 2 nu~)``.

    nu~ are the symplectic eigenvalues after the partial transpose, which turns p_0 into -p_0. A state with S = 0 is a
    mixture of coherent states, and has exactly none.
    """
    return negativity_of(transposed_eigenvalues(covariance(C, S)), _is_squeezed(S))


def transposed_eigenvalues(V: Array) -> FloatArray:
    """Return the symplectic eigenvalues of the partial transpose of mode 0, ascending, shape (..., n)."""
    flip = np.ones(V.shape[-1])
    flip[V.shape[-1] // 2] = -1
    return symplectic_eigenvalues(V * flip * flip[:, None])


def negativity_of(nu: Array, is_squeezed: Array) -> FloatArray:
    """Return ``sum max(0, -ln 2 nu~)`` over the last axis, 0 where nothing is squeezed."""
    found = np.maximum(-np.log(2 * np.maximum(nu, 1e-300)), 0.0).sum(axis=-1)
    return np.asarray(np.where(is_squeezed, found, 0.0))


def purity(C: Array, S: Array) -> FloatArray:
    """Return ``tr rho^2 = prod 1 / (2 nu)`` of all given modes."""
    return purity_of(symplectic_eigenvalues(covariance(C, S)))


def purity_of(nu: Array) -> FloatArray:
    """Return ``prod 1 / (2 nu)`` over the last axis, at most 1."""
    return np.asarray(np.exp(-np.log(np.maximum(2 * nu, 1.0)).sum(axis=-1)))


def energy_variance(alpha: Array, C: Array, S: Array) -> FloatArray:
    """Variance of a mode's photon number, in omega^2: ``C(C+1) + |S|^2 + |alpha|^2 (2C+1) + 2 Re(conj(alpha)^2 S)``.

    Parameters
    ----------
    alpha, C, S : array_like
        Of the mode; they broadcast.
    """
    own = C * (C + 1) + np.abs(S) ** 2
    beat = np.abs(alpha) ** 2 * (2 * C + 1) + 2 * (np.conj(alpha) ** 2 * S).real
    return np.asarray(own + np.maximum(beat, 0.0), dtype=float)


def drive_power(epsilon: Array | float, alpha: Array) -> FloatArray:
    """Rate at which the drive gives energy, ``-2 epsilon Im(alpha_0)``, in omega^2, from the charger's amplitude.

    In the steady state it is what the jumps lose, ``alpha^dag K alpha``.
    """
    return np.asarray(0.0 - 2 * epsilon * np.imag(alpha), dtype=float)


# ---------------------------------------------------------------------------- steady states of uniform baths


def lost_squeezing(Y: Array) -> FloatArray:
    """Return ``w_k = 1 - x_k^2``, ascending, between 0 and 1: what the modes of a register have lost of the squeezing.

    Parameters
    ----------
    Y : ndarray, shape (..., n, n)
        The deviation ``X - 1``, of the modes of the register: 0 exactly where all squeezing is kept.
    """
    lost = -(Y + _adjoint(Y) + Y @ _adjoint(Y))
    is_finite: Array = np.asarray(np.isfinite(lost).all(axis=(-2, -1)))
    w = np.clip(np.linalg.eigvalsh(np.where(is_finite[..., None, None], lost, 0.0)), 0.0, 1.0)
    return np.asarray(np.where(is_finite[..., None], w, np.nan))


def bath_purity(n_th: Array, r: Array, w: Array) -> FloatArray:
    """Return ``prod 1 / (2 nu_k)`` over the last axis of w, for a bath that broadcasts against the rest of it."""
    spread = np.hypot(1.0, np.sinh(2 * np.asarray(r))[..., None] * np.sqrt(w))  # its square may overflow
    return np.asarray(np.exp(-w.shape[-1] * np.log1p(2 * np.asarray(n_th)) - np.log(spread).sum(axis=-1)))


def bath_covariance(r: Array, Y: Array) -> FloatArray:
    """Return ``V / (n_th + 1/2)``, which is ``cosh 2r + sinh 2r X``, for every n_th, shape (..., 2n, 2n).

    Parameters
    ----------
    r : ndarray
        Broadcasts against the leading axes of Y.
    Y : ndarray, shape (..., n, n)
        The deviation ``X - 1``; the squeezing angle does not matter.
    """
    r, one = np.asarray(r)[..., None, None], np.ones(Y.shape[-1])
    mixed = np.concatenate([Y.imag, -Y.real], axis=-1)
    lost = np.concatenate([np.concatenate([Y.real, Y.imag], axis=-1), mixed], axis=-2)
    kept = np.exp(2 * r * np.concatenate([one, -one]))  # no difference of large numbers where nothing is lost
    return np.asarray(np.sinh(2 * r) * lost + kept * np.eye(lost.shape[-1]))


def _adjoint(A: Array) -> ComplexArray:
    return np.asarray(np.swapaxes(A, -1, -2).conj())


def _is_squeezed(S: Array) -> Array:
    return np.asarray((S != 0).any(axis=(-2, -1)))
