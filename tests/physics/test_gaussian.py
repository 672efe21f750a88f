"""Energy, passive energy and ergotropy of single-mode Gaussian states."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from qbsweep.physics.gaussian import (
    bath_anomaly,
    bath_ergotropy,
    bath_occupation,
    energy,
    ergotropy,
    passive_energy,
)
from qbsweep.physics.reference import bath_moments

COHERENT = st.floats(0, 1e6)
N_TH = st.floats(0, 100)
R = st.floats(0, 300)
SHARE = st.floats(0, 1)


# ---------------------------------------------------------------------------- the definitions


@pytest.mark.parametrize(
    ("alpha", "n", "squeezing"), [(0.0, 0.5, 0.0), (0.8 - 0.3j, 0.0, 0.4), (0.7j, 0.3, 0.5), (0.5, 0.8, -0.2 + 0.3j)]
)
def test_ergotropy_is_that_of_the_state_in_fock_space(alpha, n, squeezing):
    """Allahverdyan's definition on D S rho_th S^dag D^dag: the energy less that of the sorted spectrum."""
    d = 120  # levels; these states leave less than 1e-10 above the 60th
    b = np.diag(np.sqrt(np.arange(1, d)), 1).astype(complex)
    thermal = (n / (n + 1)) ** np.arange(d) / (n + 1)
    squeeze = expm((np.conj(squeezing) * b @ b - squeezing * b.conj().T @ b.conj().T) / 2)
    displace = expm(alpha * b.conj().T - np.conj(alpha) * b)
    rho = displace @ squeeze @ np.diag(thermal) @ squeeze.conj().T @ displace.conj().T
    mean, number, pair = (np.trace(rho @ op) for op in (b, b.conj().T @ b, b @ b))
    coherent, C, s = abs(mean) ** 2, number.real - abs(mean) ** 2, pair - mean**2
    stored = (np.arange(d) * np.diag(rho).real).sum()
    passive = (np.arange(d) * np.sort(np.linalg.eigvalsh(rho))[::-1]).sum()
    # Rounding of 120 levels and the truncation.
    assert energy(coherent, C) == pytest.approx(stored, abs=1e-8)
    assert passive_energy(C, s) == pytest.approx(passive, abs=1e-8)
    assert ergotropy(coherent, C, s) == pytest.approx(stored - passive, abs=1e-8)
    assert passive == pytest.approx(n, abs=1e-8)  # the thermal state it is made of


@given(coherent=COHERENT, n=N_TH)
def test_a_displaced_thermal_state_yields_its_displacement_exactly(coherent, n):
    assert ergotropy(coherent, n, 0.0) == coherent
    assert passive_energy(n, 0.0) == pytest.approx(n, rel=1e-14, abs=2e-16)


@given(coherent=COHERENT, r=st.floats(0, 6))
def test_a_displaced_pure_squeezed_state_yields_everything(coherent, r):
    C, s = np.sinh(r) ** 2, np.sinh(r) * np.cosh(r)
    # nu is the root of a difference of e^{2r}/2 and e^{2r}/2 that leaves 1/4: a rounding of C, e^{2r} 1e-16, grows
    # by e^{2r} under the root.
    error = 1e-15 * np.exp(4 * r)
    assert passive_energy(C, s) == pytest.approx(0, abs=error)
    assert ergotropy(coherent, C, s) == pytest.approx(energy(coherent, C), rel=1e-14, abs=error)


@given(coherent=COHERENT, C=st.floats(0, 1e6), share=SHARE, phase=st.floats(0, 6))
def test_energy_splits_into_ergotropy_and_passive_energy(coherent, C, share, phase):
    """For any physical state, |s|^2 <= C (C + 1)."""
    s = share * np.sqrt(C * (C + 1)) * np.exp(1j * phase)
    total, yielded, passive = energy(coherent, C), ergotropy(coherent, C, s), passive_energy(C, s)
    assert passive >= 0
    assert 0 <= yielded <= total * (1 + 1e-15) + 1e-300
    # nu^2 is a product of sums as large as C: its rounding is C^2 1e-16, that of nu C^2 1e-16 / nu, nu >= 1/2.
    assert total == pytest.approx(yielded + passive, rel=1e-14, abs=1e-15 * (C + 1) ** 2)


def test_arrays_broadcast():
    assert energy(np.zeros((3, 1)), np.zeros(2)).shape == (3, 2)
    assert ergotropy(np.zeros((3, 1)), np.zeros(2), np.zeros(2, dtype=complex)).shape == (3, 2)
    assert passive_energy(np.zeros((3, 1)), np.zeros(2)).shape == (3, 2)


# ---------------------------------------------------------------------------- the bath


@given(n_th=N_TH, r=st.floats(0, 10), theta_r=st.floats(-6, 6))
def test_bath_moments_are_those_of_16(n_th, r, theta_r):
    P, Q = bath_moments(n_th, r, theta_r)
    # abs: numbers below the smallest normal double have fewer digits.
    assert bath_occupation(n_th, r) == pytest.approx(P, rel=1e-15, abs=1e-300)
    assert bath_anomaly(n_th, r) * np.exp(-1j * theta_r) == pytest.approx(Q, rel=1e-14, abs=1e-300)
    # A squeezed thermal state: (P + 1/2)^2 - |Q|^2 = (n_th + 1/2)^2, to the rounding of e^{4r}.
    assert (P + 0.5) ** 2 - abs(Q) ** 2 == pytest.approx((n_th + 0.5) ** 2, rel=1e-13 * np.exp(4 * r), abs=0)


def test_bath_moments_by_hand():
    assert bath_moments(0.3, 0.0) == (0.3, 0)
    P, Q = bath_moments(0.0, np.log(2), np.pi / 2)  # sinh = 3/4, cosh = 5/4
    assert pytest.approx(9 / 16, rel=1e-14, abs=0) == P
    assert pytest.approx(-15j / 16, rel=1e-14, abs=0) == Q
    P, Q = bath_moments(1.0, np.log(2))  # cosh 2r = 17/8
    assert pytest.approx(17 / 8 + 9 / 16, rel=1e-14, abs=0) == P
    assert pytest.approx(45 / 16, rel=1e-14, abs=0) == Q


@pytest.mark.parametrize("r", [0.0, 1e-8, 0.5, 5.0, 8.0, 20.0])
@pytest.mark.parametrize("n_th", [0.0, 1e-6, 0.3, 50.0, 1e6, 1e160, 1e280])
def test_bath_ergotropy_against_many_digits(mp, r, n_th):
    """1e-12 relative; the last decimal is lost to the e^{2r} of r = 20, whose rounding alone is 40 ulp."""
    with mp.workdps(60):
        n, x = mp.mpf(n_th), mp.mpf(r)
        P = n * mp.cosh(2 * x) + mp.sinh(x) ** 2
        Q = (2 * n + 1) * mp.sinh(x) * mp.cosh(x)
        for filling in (0.0, 1e-6, 0.3, 0.999, 1.0):
            for lost in (0.0, 1e-12, 1e-3, 0.5, 1.0):
                deficit = filling * lost
                a = P * mp.mpf(filling) + mp.mpf("0.5")
                b = Q * (mp.mpf(filling) - mp.mpf(deficit))
                expected = a - mp.sqrt(a**2 - b**2)
                found = bath_ergotropy(np.array(n_th), np.array(r), filling, deficit)
                assert float(found) == pytest.approx(float(expected), rel=1e-12, abs=0)
                if not r:
                    assert found == 0


@given(n_th=N_TH, r=st.floats(0, 5), filling=SHARE, lost=SHARE)
def test_bath_ergotropy_is_the_ergotropy_of_its_moments(n_th, r, filling, lost):
    C, s = bath_occupation(n_th, r) * filling, bath_anomaly(n_th, r) * filling * (1 - lost)
    found = bath_ergotropy(np.array(n_th), np.array(r), filling, filling * lost)
    # The direct formula loses (C + 1)^2 roundings to its difference of squares.
    assert found == pytest.approx(ergotropy(0.0, C, s), rel=1e-12, abs=1e-15 * (C + 1) ** 2)


@given(n_th=N_TH, r=R, filling=SHARE, lost=SHARE)
@settings(max_examples=300)
def test_bath_ergotropy_lies_between_nothing_and_the_energy(n_th, r, filling, lost):
    """Up to r = 300, where e^{2r} is 1e260; a warning would be an error."""
    stored = bath_occupation(np.array(n_th), np.array(r)) * filling
    yielded = bath_ergotropy(np.array(n_th), np.array(r), filling, filling * lost)
    assert np.isfinite(yielded)
    # e^{2r} and cosh 2r are rounded apart; below 1e-308 so are the last digits.
    assert 0 <= yielded <= stored * (1 + 1e-13) + 1e-300


@pytest.mark.parametrize("r", [1e-8, 0.5, 5.0, 20.0, 100.0, 300.0])
def test_a_mode_with_all_the_squeezing_of_a_pure_bath_yields_everything(r):
    found = bath_ergotropy(np.array(0.0), np.array(r), 1.0, 0.0)
    assert found == pytest.approx(np.sinh(r) ** 2, rel=1e-13, abs=0)


@given(n_th=N_TH, filling=SHARE)
def test_an_unsqueezed_bath_gives_exactly_no_ergotropy(n_th, filling):
    assert bath_ergotropy(np.array(n_th), np.array(0.0), filling, 0.0) == 0
