"""The block solver against the reference, point by point, and what must hold for every network."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbsweep.errors import QbsweepError
from qbsweep.physics.network import scaled
from qbsweep.physics.topologies import cascaded, parallel
from qbsweep.solvers import moments
from qbsweep.solvers.moments import moments_cost, solve_moments
from qbsweep.sweeps.variables import DEFAULT_IN_TIME, DEFAULT_SCALARS, VARIABLES

from .products import moments as solved_moments
from .products import product

STEADY = (*DEFAULT_SCALARS, "energy", "ergotropy")
OUTPUTS = (*STEADY, "ergotropy_batteries", *DEFAULT_IN_TIME)  # mode by mode; of the whole network: test_register
TIMES = (0.0, 0.4, 3.0, 20.0)
AXES = {
    "kappa": (0.5, 1.5),
    "epsilon": (0.0, 0.3),
    "omega": (1.0, 2.5),
    "n_th": (0.0, 0.6),
    "r": (0.0, 0.8),
    "theta_r": (0.0, 1.1),
}
J = np.array([[0.2, 0.3], [1.0, 0.7], [0.0, 2.0]])  # per (J, kappa), as J_op makes it


def _network(name, build, ring):
    if name == "ring":
        return ring(4, detuning=(0.2, 0.0, -0.3, 0.0))
    if name == "disordered":
        return cascaded(3, (0.5, 1.0, 2.0), (1.0, 0.5, 2.0, 1.5), realization="phase-zero", detuning=(0, 0.2, 0, -0.1))
    topology, coupling, realization = name.split(" ")
    return build(topology, coupling, 3, realization=realization)


# ---------------------------------------------------------------------------- point by point


@pytest.mark.parametrize(
    "name",
    [
        "cascaded nonreciprocal phase-half-pi",
        "cascaded nonreciprocal phase-zero",
        "cascaded reciprocal phase-half-pi",
        "parallel nonreciprocal phase-half-pi",
        "parallel nonreciprocal phase-zero",
        "parallel reciprocal phase-half-pi",
        "ring",
        "disordered",
    ],
)
def test_every_point_of_a_product_equals_the_reference(build, ring, points, steady_energies, evolved_energies, name):
    """The reference's ergotropy loses e^{4r} = 25 roundings, and its LAPACK a few hundred: 1e-11."""
    network = _network(name, build, ring)
    times = np.array([TIMES, np.multiply(TIMES, 0.5)])  # per kappa, as `unit: 1/kappa` makes it
    product = points(network, J, **AXES, times=times)
    solved = solved_moments(product, OUTPUTS)
    assert tuple(product.sizes.values()) == (3, 2, 2, 2, 2, 2, 2)
    for where in itertools.product(*(range(length) for length in product.sizes.values())):
        j, k, e, o, n, r, t = where
        one = scaled(network, J[j, k], AXES["kappa"][k])
        bath = (AXES["n_th"][n], AXES["r"][r], AXES["theta_r"][t])
        omega, epsilon = AXES["omega"][o], AXES["epsilon"][e]
        energy, ergotropy = (omega * x for x in steady_energies(one, epsilon, *bath))
        expected = {
            "energy": energy,
            "ergotropy": ergotropy,
            "energy_charger": energy[0],
            "energy_terminal": energy[-1],
            "ergotropy_terminal": ergotropy[-1],
            "energy_batteries": energy[1:].sum(),
            "ergotropy_batteries": ergotropy[1:].sum(),
        }
        if e == o == t:  # the time evolution of a fifth of the points: they share everything else
            energy, ergotropy = (omega * x.T for x in evolved_energies(one, times[k], epsilon, *bath))
            expected |= {"energy_t": energy, "ergotropy_t": ergotropy}
        for output, value in expected.items():
            np.testing.assert_allclose(solved[output][where], value, 1e-11, 1e-11, err_msg=f"{output} at {where}")


@pytest.mark.parametrize("N", [1, 3])
def test_shapes_are_those_of_the_product_and_the_schema(points, N):
    product = points(
        parallel(N), np.ones((2, 1)), 1.0, (1, 2, 3), (1.0,), (0, 1, 2, 3), (0,), (0, 1), times=(0, 1, 2, 3, 4)
    )
    solved = solved_moments(product, OUTPUTS)
    assert set(solved) == set(OUTPUTS)
    for name, values in solved.items():
        extra = tuple({"mode": N + 1, "time": 5}[dim] for dim in VARIABLES[name].extra_dims)
        assert values.shape == (2, 1, 3, 1, 4, 1, 2, *extra)
        assert values.dtype == float
        assert np.isfinite(values).all()


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_asked_for_alone_is_the_same(points, name):
    product = points(cascaded(2, realization="phase-zero"), (0.1, 1.0), 0.3, 0.2, 1.0, (0, 1.0), (0, 0.4), times=(1, 2))
    together = solved_moments(product, OUTPUTS)
    alone = solved_moments(product, [name])
    assert list(alone) == [name]
    assert np.array_equal(alone[name], together[name])


@pytest.mark.parametrize("name", ["energy_termnal", "status", "levels_used", "theta_r"])
def test_an_output_that_does_not_exist_is_refused(points, name):
    """Five angles of the bath once made room for the modes of another output."""
    product = points(cascaded(2), (0.1, 1.0), theta_r=(0, 1, 2, 3, 4))
    with pytest.raises(QbsweepError, match=f"output of solver moments '{name}' is not known"):
        solve_moments(product, ["energy_terminal", name])


def test_an_output_in_time_needs_times(points):
    with pytest.raises(QbsweepError, match="output `energy_t` needs times, but there are none"):
        solve_moments(points(cascaded(2)), ["energy_t"])


def test_scalars_are_those_of_the_modes(points):
    product = points(cascaded(3, coupling="reciprocal"), (0.1, 1.0), 0.3, 0.2, 2.0, (0, 1.0), (0, 0.4))
    solved = solved_moments(product, STEADY)
    assert np.array_equal(solved["energy_charger"], solved["energy"][..., 0])
    assert np.array_equal(solved["energy_terminal"], solved["energy"][..., -1])
    assert np.array_equal(solved["ergotropy_terminal"], solved["ergotropy"][..., -1])
    np.testing.assert_allclose(solved["energy_batteries"], solved["energy"][..., 1:].sum(axis=-1), 1e-14)


def test_tiles_do_not_show(points, monkeypatch):
    """Bit for bit the same, however many members are solved at once."""
    product = points(
        cascaded(3, realization="phase-zero"), np.geomspace(0.01, 10, 23), (0.3, 0.7), 1.0, 1.0, 0.2, 0.5, times=TIMES
    )
    whole = solved_moments(product, OUTPUTS)
    monkeypatch.setattr(moments, "_TILE", 7)
    monkeypatch.setattr(moments, "_TILE_BYTES", 2000)
    tiled = solved_moments(product, OUTPUTS)
    for name in OUTPUTS:
        assert np.array_equal(whole[name], tiled[name])


def _alone_and_together(points, network, values, times):
    """Every point of a product solved alone, and as part of it: pairs of arrays per output."""
    together = solved_moments(points(network, **values, times=times), OUTPUTS)
    for where in itertools.product(*(range(len(axis)) for axis in values.values())):
        one = {name: (axis[i],) for (name, axis), i in zip(values.items(), where, strict=True)}
        alone = solved_moments(points(network, **one, times=times), OUTPUTS)
        j, e, n, r = where
        for name in OUTPUTS:
            yield name, alone[name][0, 0, 0, 0, 0, 0, 0], together[name][j, 0, e, 0, n, r, 0]


@pytest.mark.parametrize("times", [TIMES, np.linspace(0, 5, 6)], ids=["any grid", "uniform grid"])
@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
@pytest.mark.parametrize(
    "bath", [{"n_th": (0,), "r": (0,)}, {"n_th": (0.1, 0.5), "r": (0,)}, {"n_th": (0, 1), "r": (0.4, 3)}]
)
def test_a_point_does_not_depend_on_its_neighbours(points, coupling, bath, times):
    """Bit for bit, among baths of one kind (vacuum, thermal, squeezed)."""
    values = {"J": (0.01, 0.3, 2.0), "epsilon": (0.1, 1.0), **bath}
    network = cascaded(3, coupling=coupling, realization="phase-zero")
    for name, alone, together in _alone_and_together(points, network, values, times):
        assert np.array_equal(alone, together), name


@pytest.mark.parametrize("coupling", ["nonreciprocal", "reciprocal"])
def test_a_point_in_vacuum_does_not_depend_on_a_bath_beside_it(points, coupling):
    """Steady values bit for bit. In time the vacuum is solved with fewer columns, so in another order: 1e-13."""
    values = {"J": (0.01, 0.3, 2.0), "epsilon": (0.1, 1.0), "n_th": (0, 0.5), "r": (0, 0.4)}
    network = cascaded(3, coupling=coupling, realization="phase-zero")
    for name, alone, together in _alone_and_together(points, network, values, TIMES):
        if name.endswith("_t"):
            np.testing.assert_allclose(alone, together, 1e-13, err_msg=name)
        else:
            assert np.array_equal(alone, together), name


# ---------------------------------------------------------------------------- extremes


def test_squeezing_of_300_is_finite_and_complete(points):
    product = points(cascaded(5), 0.3, 0.2, 0.1, r=(0, 300.0), times=TIMES)
    solved = solved_moments(product, OUTPUTS)
    for values in solved.values():
        assert np.isfinite(values).all()
    energy, ergotropy = (solved[name][..., 1, 0, :] for name in ("energy", "ergotropy"))
    np.testing.assert_allclose(ergotropy, energy, 1e-12)


def test_without_drive_the_vacuum_stays_empty(points):
    solved = solved_moments(points(cascaded(2), 0.3, 0.2, 0.0, times=TIMES), OUTPUTS)
    for values in solved.values():
        assert not values.any()


@pytest.mark.parametrize(("topology", "N"), [("cascaded", 1000), ("parallel", 1000)])
def test_a_thousand_batteries(build, points, topology, N):
    product = points(build(topology, "reciprocal", N), (0.01, 1.0), 0.003, 0.01, n_th=(0, 0.2), r=(0, 0.5))
    solved = solved_moments(product, DEFAULT_SCALARS)
    for values in solved.values():
        assert np.isfinite(values).all()
    assert np.all(solved["energy_terminal"] >= solved["ergotropy_terminal"])


# ---------------------------------------------------------------------------- invariants

DRIVE = st.floats(1e-3, 10)


@given(data=st.data(), epsilon=DRIVE, n_th=st.floats(0, 10), r=st.floats(0, 5), coupling=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=80)
def test_energy_exceeds_ergotropy_exceeds_zero(networks, points, data, epsilon, n_th, r, coupling):
    network = data.draw(networks())
    product = points(network, coupling, 1.0, epsilon, 1.0, (0, n_th), (0, r), times=(0, 0.1, 1, 10))
    solved = solved_moments(product, OUTPUTS)
    for suffix in ("", "_t", "_terminal"):
        energy, ergotropy = solved["energy" + suffix], solved["ergotropy" + suffix]
        assert np.all(ergotropy >= 0)
        # Rounded apart: e^{2r} here, cosh 2r there.
        assert np.all(ergotropy <= energy * (1 + 1e-12) + 1e-15)


@given(data=st.data(), epsilon=DRIVE, n_th=st.floats(1e-3, 100), coupling=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=60)
def test_heat_adds_n_th_to_every_energy_and_nothing_to_the_ergotropy(networks, points, data, epsilon, n_th, coupling):
    solved = solved_moments(points(data.draw(networks()), coupling, 1.0, epsilon, n_th=(0, n_th)), STEADY)
    cold, hot = (solved["energy"][0, 0, 0, 0, i, 0, 0] for i in (0, 1))
    assert np.array_equal(hot, cold + n_th)
    for name in ("ergotropy", "ergotropy_terminal"):
        cold, hot = (solved[name][0, 0, 0, 0, i, 0, 0] for i in (0, 1))
        assert np.array_equal(hot, cold)


@given(data=st.data(), epsilon=DRIVE, factor=st.floats(0.1, 10), coupling=st.floats(1e-3, 1e3))
@settings(deadline=None, max_examples=60)
def test_vacuum_energies_scale_with_the_drive_squared(networks, points, data, epsilon, factor, coupling):
    product = points(data.draw(networks()), coupling, 1.0, (epsilon, factor * epsilon), times=(0, 0.5, 5))
    for values in solved_moments(product, OUTPUTS).values():
        np.testing.assert_allclose(values[0, 0, 1], factor**2 * values[0, 0, 0], 1e-14)


@given(data=st.data(), epsilon=DRIVE, n_th=st.floats(0, 5), r=st.floats(0, 3), omega=st.floats(0.1, 10))
@settings(deadline=None, max_examples=40)
def test_omega_is_a_unit_and_theta_r_does_not_matter(networks, points, data, epsilon, n_th, r, omega):
    product = points(data.draw(networks()), 1.0, 1.0, epsilon, (1, omega), n_th, r, (0, 0.3, -2.0), times=(0, 0.5, 5))
    for values in solved_moments(product, OUTPUTS).values():
        np.testing.assert_allclose(values[0, 0, 0, 1], omega * values[0, 0, 0, 0], 1e-14)
        first = values[..., :1, *(slice(None),) * (values.ndim - 7)]
        assert np.array_equal(values, np.broadcast_to(first, values.shape))


@given(data=st.data(), unit=st.floats(-3, 3), n_th=st.floats(0, 5), r=st.floats(0, 3))
@settings(deadline=None, max_examples=40)
def test_only_ratios_of_rates_matter(networks, points, data, unit, n_th, r):
    """Rates, drive and inverse times in another unit: the same network, and the same energies."""
    network, unit = data.draw(networks(detuned=False)), 10**unit
    outputs = ["energy", "ergotropy", "energy_t", "ergotropy_t"]
    times = np.array([0, 0.5, 5])
    here = solved_moments(points(network, 2.0, 1.0, 0.7, 1.0, n_th, r, times=times), outputs)
    there = solved_moments(points(network, 2.0 * unit, unit, 0.7 * unit, 1.0, n_th, r, times=times / unit), outputs)
    for name in outputs:
        np.testing.assert_allclose(there[name], here[name], 1e-9, 1e-11 * np.exp(2 * r))


# ---------------------------------------------------------------------------- cost


def test_predicted_cost_grows_with_the_work(ring):
    def seconds(network=None, members=5, baths=1, **given):
        points = product(network or cascaded(8, 1.0, 1.0), **given)
        outputs = ["energy_terminal", "ergotropy_terminal"] + (["energy_t"] if "times" in given else [])
        sizes = {"J": members, "kappa": 1, "epsilon": 1, "omega": 1, "n_th": baths, "r": 1}
        return float(moments_cost(points, outputs, sizes).seconds.values)

    times, uneven = np.linspace(0, 10, 100), np.geomspace(1, 10, 100)
    assert seconds() > 0
    assert seconds(cascaded(1000, 1.0, 1.0), 1000) > 10 * seconds(members=1000)
    assert seconds(members=100) < seconds() < seconds(times=times) < seconds(times=times, n_th=1.0)
    assert 2 * seconds(times=times) < seconds(times=uneven)
    assert seconds(baths=100) < seconds()
    assert seconds(ring(9), 1000) > 2 * seconds(members=1000)
    squeezed = cascaded(8, 1.0, 1.0, realization="phase-zero")  # the other realization needs no pair moments
    assert seconds(squeezed, r=0.5) > 1.5 * seconds(squeezed)
