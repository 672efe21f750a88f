"""Outputs of the whole network: against The Walrus, closed forms, limits, and what must hold for every state."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbsweep.errors import QbsweepError
from qbsweep.physics import gaussian, register
from qbsweep.physics.matrices import damping_matrix
from qbsweep.physics.network import Edge, Network, imperfect, scaled
from qbsweep.physics.reference import evolved_moments, steady_moments
from qbsweep.physics.topologies import cascaded, parallel
from qbsweep.solvers.moments import solve_moments
from qbsweep.sweeps.variables import OUTPUTS, VARIABLES

from .products import moments as solved_moments

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SymPy that The Walrus imports
    from thewalrus import quantum as walrus
    from thewalrus import symplectic

REGISTER = ("ergotropy_register", "log_negativity", "purity", "energy_variance_terminal", "drive_power")
REGISTER_T = ("ergotropy_register_t", "log_negativity_t", "energy_variance_t", "drive_power_t")


def _random_network(rng):
    """A connected graph of 2 to 5 modes with any couplings, losses and detunings."""
    n = int(rng.integers(2, 6))
    pairs = [(int(rng.integers(0, m)), m) for m in range(1, n)]
    if n > 2 and rng.random() < 0.3:
        pairs.append((0, n - 1))
    edges = tuple(
        Edge(u, v, J, rng.choice([0, np.pi / 2, rng.uniform(0, 6)]), rng.choice([0, 2 * J, rng.uniform(0, 3)]), p, 1.0)
        for u, v in pairs
        for J, p in [(rng.uniform(0.1, 2), rng.choice([1, 1j, np.exp(1j * rng.uniform(0, 6))]))]
    )
    return Network(tuple(rng.uniform(0.3, 2, n)), edges, tuple(rng.choice([0, 1]) * rng.normal(size=n)))


def _ordered(C, S):
    """The covariance as The Walrus has it: all x before all p, and hbar = 2, so that the vacuum has 1."""
    return 2 * register.covariance(C, S)


def test_a_thousand_random_networks_agree_with_the_walrus(points):
    """Steady states from the solver against The Walrus on the reference's moments; it diagonalises Omega V."""
    rng, found, expected = np.random.default_rng(5), [], []
    for _ in range(1000):
        network = _random_network(rng)
        epsilon, n_th, r, theta_r = rng.uniform(0, 1), rng.choice([0, rng.uniform(0, 2)]), rng.uniform(0.05, 1), 0.7
        got = solved_moments(points(network, 1.0, 1.0, epsilon, 1.0, n_th, r, theta_r), REGISTER)
        found.append([got[name].item() for name in REGISTER])
        m = steady_moments(network, epsilon, n_th, r, theta_r)
        cov, n = _ordered(m.C, m.S), network.n_modes
        mean = 2 * np.concatenate([m.alpha.real, m.alpha.imag])
        batteries = [*range(1, n), *range(n + 1, 2 * n)]
        nu = np.sort(np.linalg.eigvals(symplectic.sympmat(n - 1) @ cov[np.ix_(batteries, batteries)]).imag)[n - 1 :] / 2
        energy = sum(walrus.photon_number_mean(mean, cov, j) for j in range(1, n))
        expected.append(
            (
                energy - (nu - 0.5).sum(),
                walrus.log_negativity(cov, modes_A=[0]),
                1 / np.sqrt(np.linalg.det(cov)),
                walrus.photon_number_covar(mean, cov, n - 1, n - 1),
                (m.alpha.conj() @ damping_matrix(network) @ m.alpha).real,
            )
        )
    for name, values, others in zip(REGISTER, np.transpose(found), np.transpose(expected), strict=True):
        np.testing.assert_allclose(values, others, 1e-10, 1e-10, err_msg=name)
    assert np.count_nonzero(np.transpose(found)[1]) > 100  # entangled


@pytest.mark.parametrize(
    ("coupling", "realization", "expected"),
    [
        ("nonreciprocal", "phase-zero", (0.058129, 0.185520, 0.133857, 0.548619)),
        ("reciprocal", "phase-half-pi", (0.116258, 0.242870, 0.175280, 0.591524)),
        ("nonreciprocal", "phase-half-pi", (0.543081, 0.543081, 0.0, 1.0)),
    ],
)
def test_what_becomes_of_the_squeezing_of_a_pair(points, coupling, realization, expected):
    """r = 0.5, J = kappa/2, no drive: what is lost mode by mode is correlation, and joint operations find it."""
    m = steady_moments(cascaded(1, 0.5, 1.0, coupling, realization), 0.0, 0.0, 0.5)
    local = gaussian.ergotropy(m.coherent, m.occupation, m.anomaly).sum()
    found = local, register.register_ergotropy(m.alpha, m.C, m.S), register.log_negativity(m.C, m.S)
    np.testing.assert_allclose((*found, register.purity(m.C, m.S)), expected, atol=5e-7)
    net = cascaded(1, coupling=coupling, realization=realization)
    solved = solved_moments(points(net, 0.5, 1.0, 0.0, r=0.5), ["log_negativity", "purity"])
    np.testing.assert_allclose([solved["log_negativity"].item(), solved["purity"].item()], expected[2:], atol=5e-7)


def test_reciprocal_and_directed_pair_by_hand(points):
    """Two modes at J = kappa/2 without cooperative jumps: X = -(kappa/2) M^{-1} = [[1, -i], [-i, 1]] / 2, x^2 = 1/2."""
    r = np.array([0.3, 1.0, 3.0])
    solved = solved_moments(points(cascaded(1, coupling="reciprocal"), 0.5, r=r, epsilon=0.0), ["purity"])
    np.testing.assert_allclose(solved["purity"].ravel(), 1 / (1 + np.sinh(2 * r) ** 2 / 2), 1e-14)


@pytest.mark.parametrize("n_th", [0.0, 0.7, 1e3])
@pytest.mark.parametrize("build", [cascaded, parallel])
def test_nothing_is_entangled_or_gained_in_a_thermal_bath(points, build, n_th):
    product = points(build(3, realization="phase-zero"), (0.3, 1.0), 0.8, 0.4, 2.0, n_th, times=(0, 0.3, 2.0, 40.0))
    got = solved_moments(product, (*REGISTER, *REGISTER_T, "ergotropy", "ergotropy_t", "ergotropy_batteries"))
    assert not got["log_negativity"].any()
    assert not got["log_negativity_t"].any()
    np.testing.assert_allclose(got["ergotropy_register"], got["ergotropy"][..., 1:].sum(axis=-1), 1e-13)
    np.testing.assert_allclose(got["ergotropy_register_t"], got["ergotropy_t"][..., 1:, :].sum(axis=-2), 1e-12)
    np.testing.assert_allclose(got["purity"], (2 * n_th + 1) ** -4.0, 1e-13)


@pytest.mark.parametrize("r", [0.5, 3.0, 8.0])
def test_a_bath_that_squeezes_every_mode_alike_leaves_a_pure_product(points, r):
    """`phase-half-pi`: exact at any r."""
    got = solved_moments(points(cascaded(4), 0.7, 1.0, 0.0, r=r), (*REGISTER, "ergotropy_batteries"))
    assert got["purity"].item() == 1.0
    np.testing.assert_allclose(got["ergotropy_register"], got["ergotropy_batteries"], 1e-14)
    np.testing.assert_allclose(got["ergotropy_register"], 4 * np.sinh(r) ** 2, 1e-14)
    assert got["log_negativity"].item() < 1e-14
    np.testing.assert_allclose(got["energy_variance_terminal"], np.sinh(2 * r) ** 2 / 2, 1e-14)


def test_strong_squeezing_against_40_digits(points, mp, exact_pairs):
    """r = 3: cosh 2r = 202. The negativity is good to 1e-10, all else to 1e-12."""
    network, r = cascaded(2, 0.2, 1.0, "reciprocal"), 3.0
    X = exact_pairs(network)

    def invariants(modes, flip):
        """Symplectic eigenvalues over n_th + 1/2, as square roots of the eigenvalues of -(Omega V)^2."""
        n = len(modes)
        V, omega = mp.zeros(2 * n), mp.zeros(2 * n)
        for (a, j), (b, k) in itertools.product(enumerate(modes), repeat=2):
            sign = [-1 if flip and mode == 0 else 1 for mode in (j, k)]
            own = mp.cosh(2 * r) if a == b else 0
            x = mp.sinh(2 * r) * X[j, k]
            V[a, b], V[n + a, n + b] = own + x.real, sign[0] * sign[1] * (own - x.real)
            V[a, n + b], V[n + a, b] = sign[1] * x.imag, sign[0] * x.imag
        for a in range(n):
            omega[a, n + a], omega[n + a, a] = 1, -1
        values, _ = mp.eig(omega * V)
        return sorted(abs(value.imag) for value in values)[::2]

    got = solved_moments(points(scaled(network, 1, 1), 1.0, 1.0, 0.0, r=r), REGISTER)
    nu = invariants([1, 2], flip=False)
    expected = float(2 * mp.sinh(r) ** 2 - sum((value - 1) / 2 for value in nu))
    np.testing.assert_allclose(got["ergotropy_register"].item(), expected, 1e-12)
    np.testing.assert_allclose(got["purity"].item(), float(1 / mp.fprod(invariants([0, 1, 2], flip=False))), 1e-12)
    negativity = float(sum(max(0, -mp.log(value)) for value in invariants([0, 1, 2], flip=True)))
    assert negativity > 0.05
    np.testing.assert_allclose(got["log_negativity"].item(), negativity, 1e-10)


TIMES = (0.0, 0.3, 1.0, 4.0)


@pytest.mark.parametrize("times", [TIMES, tuple(np.linspace(0, 5, 6))], ids=["any grid", "uniform grid"])
def test_every_point_of_a_product_equals_the_reference(points, ring, times):
    """Axes of the bath, of the drive and of its angle, steady and in time, from the reference's whole matrices."""
    axes = {"kappa": (0.5, 1.5), "epsilon": (0.0, 0.3), "omega": (2.5,), "n_th": (0.0, 0.6), "r": (0.0, 0.8)}
    axes["theta_r"] = (0.0, 1.1)
    network = ring(4, detuning=(0.2, 0.0, -0.3, 0.0))
    J = (0.2, 1.0)
    got = solved_moments(points(network, J, **axes, times=times), (*REGISTER, *REGISTER_T))
    for where in itertools.product(*(range(len(axis)) for axis in (J, *axes.values()))):
        j, k, e, o, n, r, t = where
        one = scaled(network, J[j], axes["kappa"][k])
        epsilon, omega = axes["epsilon"][e], axes["omega"][o]
        bath = (axes["n_th"][n], axes["r"][r], axes["theta_r"][t])
        for name, m in (
            ("", steady_moments(one, epsilon, *bath)),
            ("_t", evolved_moments(one, np.array(times), epsilon, *bath)),
        ):
            variance = register.energy_variance(m.alpha, m.occupation, np.diagonal(m.S, axis1=-2, axis2=-1))
            expected = {
                "ergotropy_register": omega
                * register.register_ergotropy(m.alpha[..., 1:], m.C[..., 1:, 1:], m.S[..., 1:, 1:]),
                "log_negativity": register.log_negativity(m.C, m.S),
                "drive_power": omega * register.drive_power(epsilon, m.alpha[..., 0]),
                "energy_variance": omega**2 * variance.T,
            }
            if not name:
                expected |= {"purity": register.purity(m.C, m.S), "energy_variance_terminal": omega**2 * variance[-1]}
                del expected["energy_variance"]
            for output, value in expected.items():
                np.testing.assert_allclose(got[output + name][where], value, 1e-10, 1e-11, err_msg=f"{output} {where}")


def test_digits_lost_to_little_squeezing_are_told(points):
    """In time the joint work is a difference: at r = 1e-5 of 0.5 and of 1e-10; beside a drive's it does not matter."""
    network = cascaded(2, realization="phase-zero")
    for epsilon, is_told in ((0.0, True), (0.5, False)):
        product = points(network, 0.5, 1.0, epsilon, r=1e-5, times=(1.0, 5.0))
        error = solve_moments(product, ["ergotropy_register_t"])["numerical_error"].values.item()
        assert (error > 1e-9) == is_told


def test_disordered_members_are_those_of_networks_of_their_own(points):
    """Detuned, unequally lossy, disordered: each member as if it were alone."""
    from qbsweep.physics.members import member_of
    from qbsweep.solvers.interface import Points, values_of

    values = {"J": (0.4, 1.0), "kappa": 0.7, "kappa_charger": (0.2, 0.7), "detuning": 0.1, "spread_J": 0.3}
    values |= {"spread_kappa": 0.2, "spread_detuning": 0.4, "seed": (1, 2), "epsilon": 0.3, "omega": 1.0}
    values |= {"n_th": 0.2, "r": 0.6, "theta_r": 0.4}
    network = cascaded(3, realization="phase-zero")
    product = Points(network, values_of(values), {"spread_distribution": "normal"})
    solved = solve_moments(product, REGISTER)
    for where in ((0, 0, 0), (1, 1, 1), (1, 0, 1)):
        place = dict.fromkeys(values, 0) | dict(zip(("J", "kappa_charger", "seed"), where, strict=True))
        alone = member_of(network, product.at(place), "normal")
        m = steady_moments(alone, 0.3, 0.2, 0.6, 0.4)
        at = {name: solved[name].values[tuple(place[d] for d in solved[name].dims)] for name in REGISTER}
        np.testing.assert_allclose(
            at["ergotropy_register"], register.register_ergotropy(m.alpha[1:], m.C[1:, 1:], m.S[1:, 1:]), 1e-11
        )
        np.testing.assert_allclose(at["log_negativity"], register.log_negativity(m.C, m.S), 1e-11)
        np.testing.assert_allclose(at["purity"], register.purity(m.C, m.S), 1e-11)
        np.testing.assert_allclose(
            at["energy_variance_terminal"], register.energy_variance(m.alpha[-1], m.occupation[-1], m.S[-1, -1]), 1e-11
        )
        np.testing.assert_allclose(at["drive_power"], register.drive_power(0.3, m.alpha[0]), 1e-11)


def test_tiles_do_not_show(points, monkeypatch):
    from qbsweep.solvers import moment_register

    product = points(
        cascaded(2, realization="phase-zero"), np.geomspace(0.1, 3, 7), 1.0, 1.0, 1.0, 0.1, 0.5, times=TIMES
    )
    whole = solved_moments(product, (*REGISTER, *REGISTER_T))
    monkeypatch.setattr(moment_register, "_TILE_BYTES", 1)
    for name, values in solved_moments(product, (*REGISTER, *REGISTER_T)).items():
        assert np.array_equal(whole[name], values), name


# ---------------------------------------------------------------------------- what must hold for every state


@given(data=st.data(), n_th=st.floats(0, 2), r=st.floats(0, 1.5))
@settings(max_examples=40, deadline=None)
def test_what_holds_for_every_network(networks, points, data, n_th, r):
    network = data.draw(networks())
    names = (*REGISTER, "ergotropy_batteries", "energy_batteries")
    got = {k: v.item() for k, v in solved_moments(points(network, 1.0, 1.0, 0.3, 1.0, n_th, r), names).items()}
    rounding = 1e-10 * (1 + got["energy_batteries"])
    # Local squeezers and displacements are joint ones.
    assert got["ergotropy_batteries"] <= got["ergotropy_register"] + rounding
    assert got["ergotropy_register"] <= got["energy_batteries"] + rounding
    assert 0 < got["purity"] <= 1 + 1e-12
    assert got["log_negativity"] >= 0
    assert got["energy_variance_terminal"] >= 0
    assert got["drive_power"] >= 0


@given(seed=st.integers(0, 2**32 - 1), squeezing=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_joint_unitaries_change_neither_purity_nor_passive_energy(seed, squeezing):
    """A passive unitary U mixes modes: alpha -> U alpha, C -> conj(U) C U^T, S -> U S U^T."""
    rng = np.random.default_rng(seed)
    m = steady_moments(_random_network(rng), 0.3, 0.2, squeezing)
    n = len(m.C)
    U = np.linalg.qr(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))[0]
    turned = U @ m.alpha, U.conj() @ m.C @ U.T, U @ m.S @ U.T
    np.testing.assert_allclose(register.purity(*turned[1:]), register.purity(m.C, m.S), 1e-11)
    np.testing.assert_allclose(
        register.register_ergotropy(*turned), register.register_ergotropy(m.alpha, m.C, m.S), 1e-11, 1e-12
    )


def test_two_mode_squeezed_vacuum():
    """C = sinh^2 s, S_01 = sinh s cosh s: negativity 2 s, pure; each half alone is thermal, and holds no work."""
    s = np.array([0.0, 0.1, 1.0, 3.0])
    C = np.sinh(s)[:, None, None] ** 2 * np.eye(2)
    S = (np.sinh(s) * np.cosh(s))[:, None, None] * np.array([[0, 1], [1, 0]])
    np.testing.assert_allclose(register.log_negativity(C, S), 2 * s, atol=1e-11)
    np.testing.assert_allclose(register.purity(C, S), 1, 1e-9)
    np.testing.assert_allclose(register.register_ergotropy(np.zeros((4, 2)), C, S), 2 * np.sinh(s) ** 2, 1e-11)
    np.testing.assert_allclose(register.register_ergotropy(np.zeros((4, 1)), C[:, 1:, 1:], S[:, 1:, 1:]), 0)


def test_what_is_not_finite_stays_so():
    C, S = np.eye(2)[None].repeat(2, 0), 0.1 * np.eye(2)[None].repeat(2, 0)
    C[0, 0, 0] = np.nan
    assert np.isnan(register.symplectic_eigenvalues(register.covariance(C, S))).any(axis=-1).tolist() == [True, False]
    assert np.isnan(register.lost_squeezing(C)).any(axis=-1).tolist() == [True, False]


# ---------------------------------------------------------------------------- networks without a steady state


def test_a_network_without_a_steady_state_is_refused_and_evolves_all_the_same(points):
    """Two batteries hang on the charger alike: their difference is dark, and without losses it stays for ever."""
    network = Network((1.0, 0.0, 0.0), (Edge(0, 1, 0.7), Edge(0, 2, 0.7)))
    for output in ("energy_terminal", "purity"):
        with pytest.raises(QbsweepError, match="unstable, with an abscissa of 0 omega"):
            solve_moments(points(network), [output])
    got = solved_moments(points(network, epsilon=0.2, times=(0, 1.0, 3.0)), ["energy_t", "drive_power_t"])
    assert np.isfinite(got["energy_t"]).all()
    assert got["drive_power_t"].ravel()[0] == 0


def test_a_mode_that_decays_through_others_is_stable(points):
    """No loss of its own, but a way out: E_B = eps^2 J^2 / |M|^2 with |M| = J^2 is (eps/J)^2."""
    network = Network((1.0, 0.0), (Edge(0, 1, 1.0),))
    got = solved_moments(points(network, 0.7, 1.0, 0.2), ["energy_terminal", "drive_power"])
    np.testing.assert_allclose(got["energy_terminal"].item(), (0.2 / 0.7) ** 2, 1e-14)
    np.testing.assert_allclose(got["drive_power"].item(), 0, atol=1e-16)


def test_declared_outputs_are_those_of_the_solver(points):
    names = [name for name in OUTPUTS if "moments" in VARIABLES[name].solvers]
    product = points(parallel(2), epsilon=(1, 2, 3), n_th=(0, 1), r=(0.0,), theta_r=(0, 1, 2, 3, 4), times=(0, 1, 2, 3))
    for name, values in solved_moments(product, names).items():
        extra = tuple({"mode": 3, "time": 4}[dim] for dim in VARIABLES[name].extra_dims)
        assert values.shape == (1, 1, 3, 1, 2, 1, 5, *extra), name
        assert np.isfinite(values).all(), name


def test_lost_digits_are_told_where_they_are_lost(points):
    """Squeezing takes e^{4r} of them: against 60 digits, and other baths of the same product keep their word."""
    product = points(cascaded(2), 0.375, 1.0, 0.0, r=(0.0, 2.0, 5.0), times=(10.0,))
    late = solve_moments(product, ["log_negativity_t"])
    got, error = late["log_negativity_t"].values.ravel(), late["numerical_error"].along(("r",))
    assert (np.abs(got - [0.0, 4.1406134452842584e-08, 3.165876176349768e-08]) <= error).all()
    assert max(error[:2]) < 1e-9 < error[2]
    kept = solve_moments(points(imperfect(cascaded(2), 0.5), 0.375, 1.0, 0.0, r=5.5), ["log_negativity"])
    assert kept["log_negativity"].values.item() <= kept["numerical_error"].values.item() < 1e-12
    joint = solve_moments(points(cascaded(2), 0.375, 1.0, 0.0, r=(1.0, 10.0), times=(200.0,)), ["ergotropy_register_t"])
    got, error = joint["ergotropy_register_t"].values.ravel(), joint["numerical_error"].along(("r",))
    assert (np.abs(got / (2 * np.sinh([1.0, 10.0]) ** 2) - 1) <= error).all()
    assert error[0] < 1e-9 < error[1]
