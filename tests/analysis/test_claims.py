"""`qbsweep verify`: the verdicts, that a wrong formula changes them, and that the docs show what is computed.

Equation numbers are those of Liu et al. (2026).
"""

import io
import itertools
import json
import math
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
from rich.console import Console
from scipy.integrate import solve_ivp

from qbsweep.claims import bath, chain, exact, optimum, relaxation
from qbsweep.claims import cascaded as cascade
from qbsweep.claims import paper as claims
from qbsweep.claims import parallel as star
from qbsweep.claims.ledger import CORRECTED, FAILS, HOLDS, UNDECIDED, Claim, Finding, Measure, markdown, verdict
from qbsweep.cli import verdicts
from qbsweep.physics import closed_forms
from qbsweep.physics.fock.model import fock_model
from qbsweep.physics.fock.point import solve_model
from qbsweep.physics.reference import steady_moments

from ..command import qbsweep

PAGE = Path(__file__).parents[2] / "docs" / "claims.md"

# What is known of the paper: every claim has its verdict here, and none is missing.
VERDICTS = {
    cascade.hamiltonian: CORRECTED,
    cascade.nonreciprocity: CORRECTED,
    cascade.equations_of_motion: CORRECTED,
    cascade.sign_of_3: CORRECTED,
    cascade.rates_of_inner_batteries: CORRECTED,
    cascade.solutions_a2_a4: HOLDS,
    cascade.steady_terminal: HOLDS,
    cascade.uniform_terminal: HOLDS,
    star.exponents_of_7: CORRECTED,
    star.rate_of_the_charger: CORRECTED,
    star.solutions_a6_a8: HOLDS,
    star.index_of_8: CORRECTED,
    star.uniform_nonreciprocal: HOLDS,
    optimum.derivative: CORRECTED,
    optimum.cascaded_law: HOLDS,
    optimum.parallel_law: HOLDS,
    optimum.cascaded_exponent: HOLDS,
    optimum.parallel_exponent: HOLDS,
    optimum.localised: CORRECTED,
    optimum.perfectly_nonreciprocal: FAILS,
    optimum.trade_off: HOLDS,
    chain.odd_chain: HOLDS,
    chain.even_chain: HOLDS,
    star.uniform_reciprocal: HOLDS,
    chain.spectrum: HOLDS,
    chain.zero_mode: HOLDS,
    chain.green_function: HOLDS,
    chain.odd_even_at_operating_point: CORRECTED,
    chain.odd_even_at_one_coupling: CORRECTED,
    chain.no_parity_elsewhere: HOLDS,
    chain.odd_peak: HOLDS,
    chain.even_saturation: HOLDS,
    optimum.one_peak: HOLDS,
    optimum.weak_coupling: HOLDS,
    optimum.cascade_stores_more: CORRECTED,
    star.nonreciprocal_stores_more: FAILS,
    star.window: HOLDS,
    relaxation.linear_growth: FAILS,
    relaxation.independence: HOLDS,
    relaxation.much_shorter: FAILS,
    relaxation.faster: HOLDS,
    relaxation.monotone: HOLDS,
    bath.thermal_shift: HOLDS,
    bath.zero_temperature: HOLDS,
    bath.thermal_ergotropy: FAILS,
    bath.squeezing_enhances: HOLDS,
    bath.either_realization: FAILS,
    bath.useful_fraction: CORRECTED,
}


@pytest.fixture(scope="module")
def rows():
    return claims.check_all()


def test_every_claim_is_in_the_ledger_once():
    tests = [claim.test for claim in claims.CLAIMS]
    assert len(set(tests)) == len(tests)
    assert set(tests) == set(VERDICTS)
    assert len({claim.statement for claim in claims.CLAIMS}) == len(tests)
    where = " ".join(claim.equation for claim in claims.CLAIMS)
    for number in ("3", "4", "5", "7", "8", "9", "10", "11", "12", "13", "14", "15", "A4", "A8", "B9", "B14", "B16"):
        assert f"({number})" in where
    for figure in ("Fig. 3 (a)", "Fig. 3 (c)", "Fig. 3 (e)", "Fig. 4", "Fig. 5 (d-f)", "Fig. 6"):
        assert figure in where


def test_verdicts(rows):
    found = {claim.test.__name__: row.verdict for claim, row in zip(claims.CLAIMS, rows, strict=True)}
    assert found == {test.__name__: word for test, word in VERDICTS.items()}
    assert all(row.computed for row in rows)
    for row in rows:
        assert bool(row.reason) == bool(row.tested) == (row.verdict != HOLDS)
        assert row.printed.passes == (row.verdict == HOLDS)
        assert all(measure.passes for measure in row.tested)


def best_ratio_by_continuants(N: int) -> tuple[float, float]:
    """The best Gamma / (2 J) at J_op and its gain, with forty digits from the continued fraction of the chain."""
    with mpmath.workdps(40):
        J = (N + mpmath.sqrt(N * N + 8 * N)) / 8  # (10), kappa = 1

        def log_energy(g: mpmath.mpf) -> mpmath.mpf:
            before, now = mpmath.mpf(1), g * J + mpmath.mpf(1) / 2
            for rate in [2 * g * J + mpmath.mpf(1) / 2] * (N - 1) + [g * J + mpmath.mpf(1) / 2]:
                before, now = now, rate * now + J**2 * (1 - g**2) * before  # backward times forward amplitude
            return 2 * N * mpmath.log(J * (1 + g)) - 2 * mpmath.log(now)

        best = mpmath.findroot(lambda g: mpmath.diff(log_energy, g), (0.2, 0.8), solver="anderson")
        return float(best), float(mpmath.exp(log_energy(best) - log_energy(1)))


@pytest.mark.parametrize(("N", "known"), [(3, (0.41488, 1.048547)), (5, (0.32055, 1.055881))])
def test_the_best_imperfection_of_a_chain(N, known):
    found = optimum.best_ratio(N)
    assert found == pytest.approx(best_ratio_by_continuants(N), rel=1e-9)
    assert (round(found[0], 5), round(found[1], 6)) == known
    assert f"{known[0]:.5f}" in optimum.perfectly_nonreciprocal().computed


# ---------------------------------------------------------------------------- the logic of a verdict

GOOD, BAD, NONE = Measure(0.0, 1.0), Measure(2.0, 1.0), Measure(math.nan, 1.0)


@pytest.mark.parametrize(
    ("printed", "corrected", "explained", "expected"),
    [
        (GOOD, (), (), HOLDS),
        (GOOD, (BAD,), (BAD,), HOLDS),
        (BAD, (GOOD,), (), CORRECTED),
        (BAD, (GOOD, GOOD), (GOOD,), CORRECTED),
        (BAD, (GOOD, BAD), (), UNDECIDED),
        (BAD, (BAD,), (GOOD,), FAILS),
        (BAD, (), (GOOD, BAD), UNDECIDED),
        (BAD, (), (), UNDECIDED),
        (NONE, (), (), UNDECIDED),
        (NONE, (NONE,), (NONE,), UNDECIDED),
    ],
)
def test_verdict_follows_from_measures(printed, corrected, explained, expected):
    assert verdict(Finding("", printed, corrected, explained)) == expected


def test_a_measure_keeps_its_bound_from_either_side():
    assert Measure(1.0, 1.0).passes
    assert Measure(1.0, 1.0, at_least=True).passes
    assert not Measure(0.5, 1.0, at_least=True).passes
    assert not Measure(math.nan, 1.0, at_least=True).passes
    assert [str(m) for m in (GOOD, BAD, Measure(0.5, 1.0, at_least=True), Measure(1.000002, 1.0, True, "ratio"))] == [
        "0 ≤ 1",
        "2 > 1",
        "0.5 < 1",
        "ratio 1.000002 ≥ 1",
    ]


# ---------------------------------------------------------------------------- no verdict is vacuous


def scaled(form, factor=1 + 1e-8):
    """Return a formula that is wrong by one part in 1e8."""
    return lambda *arguments: form(*arguments) * factor


def backwards(topology, coupling, N, J):
    """Return the energy with the other coupling."""
    return exact.terminal_energy(topology, exact.COUPLINGS[coupling == exact.COUPLINGS[0]], N, J)


def coherent_only(moments):
    return moments.coherent[..., -1]


# (claim, what it is given instead of the print or of the exact solution, the verdict that this must have)
MUTATIONS = [
    (cascade.hamiltonian, {"printed": cascade.neighbours}, HOLDS),
    (cascade.hamiltonian, {"corrected": cascade.all_pairs}, UNDECIDED),
    (cascade.nonreciprocity, {"printed": cascade.partner_of_conjugate_product}, HOLDS),
    (cascade.nonreciprocity, {"corrected": cascade.partner_of_plain_product}, UNDECIDED),
    (cascade.equations_of_motion, {"printed": True}, HOLDS),
    (cascade.equations_of_motion, {"corrected": False}, UNDECIDED),
    (cascade.sign_of_3, {"printed": closed_forms.nonreciprocal_energy_in_time}, HOLDS),
    (cascade.sign_of_3, {"corrected": cascade.energy_3}, UNDECIDED),
    (cascade.sign_of_3, {"corrected": scaled(closed_forms.nonreciprocal_energy_in_time)}, UNDECIDED),
    (cascade.rates_of_inner_batteries, {"printed": cascade.cascade_rates}, HOLDS),
    (cascade.rates_of_inner_batteries, {"corrected": cascade.rates_below_3}, UNDECIDED),
    (cascade.solutions_a2_a4, {"printed": scaled(cascade.energy_a4)}, UNDECIDED),
    (cascade.steady_terminal, {"printed": scaled(closed_forms.nonreciprocal_energy)}, UNDECIDED),
    (cascade.uniform_terminal, {"printed": scaled(closed_forms.nonreciprocal_cascaded_energy)}, UNDECIDED),
    (star.exponents_of_7, {"printed": star.energy_a6}, HOLDS),
    (star.exponents_of_7, {"corrected": scaled(closed_forms.nonreciprocal_energy_in_time)}, UNDECIDED),
    (star.rate_of_the_charger, {"printed": star.sum_to_N}, HOLDS),
    (star.rate_of_the_charger, {"corrected": star.sum_to_n}, UNDECIDED),
    (star.solutions_a6_a8, {"printed": star.energy_7}, UNDECIDED),
    (star.index_of_8, {"printed": 0}, HOLDS),
    (star.index_of_8, {"corrected": 1}, UNDECIDED),
    (star.uniform_nonreciprocal, {"printed": scaled(closed_forms.nonreciprocal_parallel_energy)}, UNDECIDED),
    (optimum.derivative, {"printed": 2.0}, HOLDS),
    (optimum.derivative, {"corrected": 2 + 1e-7}, UNDECIDED),
    (optimum.cascaded_law, {"printed": scaled(closed_forms.cascaded_optimal_coupling)}, UNDECIDED),
    (optimum.parallel_law, {"printed": scaled(closed_forms.parallel_optimal_coupling)}, UNDECIDED),
    (optimum.cascaded_exponent, {"printed": 0.95}, UNDECIDED),
    (optimum.parallel_exponent, {"printed": -0.52}, UNDECIDED),
    (optimum.localised, {"share": lambda topology, N, J: 0.6}, HOLDS),
    (optimum.localised, {"share": lambda topology, N, J: 0.4}, UNDECIDED),
    (optimum.perfectly_nonreciprocal, {"best": lambda N: (1.0, 1.0)}, HOLDS),
    (optimum.trade_off, {"settling": lambda topology, coupling, N, ratio: ratio}, UNDECIDED),
    (chain.odd_chain, {"printed": chain.powers_12}, UNDECIDED),
    (chain.even_chain, {"printed": chain.powers_11}, UNDECIDED),
    (star.uniform_reciprocal, {"printed": scaled(closed_forms.reciprocal_parallel_energy)}, UNDECIDED),
    (star.uniform_reciprocal, {"printed": lambda N, J, kappa, epsilon: 0 * J}, UNDECIDED),
    (chain.spectrum, {"printed": scaled(chain.spectrum_b9)}, UNDECIDED),
    (chain.zero_mode, {"eigenvalues": lambda N: chain.spectrum_b9(N + 1, 1.0)}, UNDECIDED),
    (chain.green_function, {"printed": scaled(closed_forms.reciprocal_cascaded_amplitude)}, UNDECIDED),
    (chain.odd_even_at_operating_point, {"energy": lambda *point: 1.0}, HOLDS),
    (chain.odd_even_at_operating_point, {"energy": backwards}, UNDECIDED),
    (chain.odd_even_at_one_coupling, {"corrected": scaled(chain.crossing)}, UNDECIDED),
    (chain.no_parity_elsewhere, {"energy": backwards}, UNDECIDED),
    (chain.odd_peak, {"turns": lambda *network: []}, UNDECIDED),
    (chain.odd_peak, {"turns": lambda *network: [0.5, 5.0]}, UNDECIDED),
    (chain.even_saturation, {"turns": lambda *network: [0.5]}, UNDECIDED),
    (optimum.one_peak, {"turns": lambda *network: []}, UNDECIDED),
    (optimum.weak_coupling, {"energy": backwards}, UNDECIDED),
    (optimum.cascade_stores_more, {"energy": backwards}, UNDECIDED),
    (star.nonreciprocal_stores_more, {"energy": backwards}, HOLDS),
    (star.nonreciprocal_stores_more, {"energy": lambda *p: exact.terminal_energy(*p) ** 2}, UNDECIDED),
    (star.window, {"printed": lambda N, kappa: (kappa / (2 * N), kappa / 2 * (1 + 1e-8))}, UNDECIDED),
    (relaxation.linear_growth, {"settling": lambda topology, coupling, N, ratio: N}, HOLDS),
    (relaxation.linear_growth, {"settling": lambda topology, coupling, N, ratio: 10.0}, UNDECIDED),
    (relaxation.independence, {"settling": lambda topology, coupling, N, ratio: N}, UNDECIDED),
    (relaxation.much_shorter, {"settling": lambda t, coupling, N, ratio: 4 + 6 * (t == "cascaded")}, HOLDS),
    (relaxation.much_shorter, {"settling": lambda t, coupling, N, ratio: 6 + 4 * (t == "cascaded")}, UNDECIDED),
    (relaxation.faster, {"settling": lambda t, coupling, N, ratio: len(coupling)}, UNDECIDED),
    (relaxation.monotone, {"drop": lambda topology, coupling, N: 1e-6}, UNDECIDED),
    (bath.thermal_shift, {"printed": lambda vacuum, n_th: vacuum + n_th * (1 + 1e-8)}, UNDECIDED),
    (bath.zero_temperature, {"work": scaled(bath.work_of)}, UNDECIDED),
    (bath.thermal_ergotropy, {"work": lambda m: coherent_only(m) * np.exp(-m.occupation[..., -1])}, HOLDS),
    (bath.thermal_ergotropy, {"truncated": lambda n_th, levels: 0.0577}, UNDECIDED),
    (bath.squeezing_enhances, {"work": coherent_only}, UNDECIDED),
    (bath.either_realization, {"work": bath.energy_of}, HOLDS),
    (bath.either_realization, {"work": scaled(bath.work_of, 1.001)}, UNDECIDED),
    (bath.useful_fraction, {"work": coherent_only}, UNDECIDED),
]


def test_every_claim_is_mutated():
    assert {test for test, _, _ in MUTATIONS} == set(VERDICTS)


@pytest.mark.parametrize(("test", "wrong", "expected"), MUTATIONS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_formula_has_another_verdict(test, wrong, expected):
    assert verdict(test(**wrong)) == expected
    assert expected != VERDICTS[test]


# ---------------------------------------------------------------------------- the exact solution by a third route


@pytest.mark.parametrize(("topology", "coupling"), list(itertools.product(exact.TOPOLOGIES, exact.COUPLINGS)))
def test_exact_energies_solve_the_equations_of_motion_written_by_hand(topology, coupling):
    """(A1), (A5) and (B2) of three uniform batteries as a differential equation, term by term."""
    N, J, kappa, epsilon = 3, 0.7, 1.0, 0.3
    # -i J e^{-i theta} - Gamma/2 to the battery, -i J e^{i theta} - Gamma/2 back; theta = pi/2, Gamma = 2 J or neither
    forward, backward = (-2 * J, 0.0) if coupling == "nonreciprocal" else (-1j * J, -1j * J)
    edges = [(m, m + 1) for m in range(N)] if topology == "cascaded" else [(0, n) for n in range(1, N + 1)]

    def motion(time, c):
        rate = np.full(N + 1, kappa)
        change = np.zeros(N + 1, dtype=complex)
        change[0] = -1j * epsilon
        for u, v in edges:
            change[v] += forward * c[u]
            change[u] += backward * c[v]
            if coupling == "nonreciprocal":
                rate[[u, v]] += 2 * J
        return change - rate / 2 * c

    solved = solve_ivp(motion, (0, 60), np.zeros(N + 1, dtype=complex), rtol=1e-10, atol=1e-12, t_eval=[1.0, 60.0])
    network = exact.TOPOLOGIES[topology](N, J, kappa, coupling)
    early = exact.energies_in_time(network, np.array([1.0]), epsilon)[0]
    assert np.abs(solved.y[:, 0]) ** 2 == pytest.approx(early, rel=1e-6, abs=0)
    assert np.abs(solved.y[-1, 1]) ** 2 == pytest.approx(
        exact.terminal(topology, coupling, N, J, kappa, epsilon)[0], rel=1e-6, abs=0
    )


def test_slopes_are_those_of_a_difference_quotient():
    for topology, coupling in itertools.product(exact.TOPOLOGIES, exact.COUPLINGS):
        J, h = 0.004, 1e-7
        low, high = exact.terminal(topology, coupling, 3, np.array([J - h, J + h]))[0]
        slope = exact.terminal(topology, coupling, 3, J)[1]
        assert slope == pytest.approx((high - low) / (2 * h), rel=1e-6, abs=0)


def test_realizations_differ_in_fock_space_too():
    """Squeezed bath (16), one battery, r = 0.2: the master equation itself, 14 levels; they keep e^{-14/2} of it."""
    for realization in ("phase-half-pi", "phase-zero"):
        network = bath.network("cascaded", 1, realization=realization)
        moments = steady_moments(network, bath.WEAK_EPSILON, 0.0, 0.2)
        solved = solve_model(fock_model(network, 14, epsilon=bath.WEAK_EPSILON, r=0.2))
        assert solved.ergotropy is not None
        assert solved.ergotropy[-1] == pytest.approx(bath.work_of(moments), rel=1e-3)


# ---------------------------------------------------------------------------- the command


@pytest.fixture
def known(monkeypatch, rows):
    """The command's own rows, computed once for this module."""
    monkeypatch.setattr(claims, "check_all", lambda: rows)


def test_json_is_the_ledger(monkeypatch, known, rows):
    code, out, _ = qbsweep("verify", "--json")
    assert code == 0
    table = json.loads(out)
    assert [entry["verdict"] for entry in table] == [row.verdict for row in rows]
    for entry, row in zip(table, rows, strict=True):
        assert (entry["claim"], entry["equation"], entry["reason"]) == (row.claim, row.equation, row.reason)
        assert entry["number"] == row.printed.value
        kept = entry["number"] >= entry["bound"] if entry["bound_is"] == "least" else entry["number"] <= entry["bound"]
        assert kept == (entry["verdict"] == HOLDS)


def test_table_fits_a_terminal(rows):
    for width in (100, 120):
        console = Console(file=io.StringIO(), width=width)
        console.print(verdicts.verdict_table(rows))
        text = console.file.getvalue()
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        for row in rows:
            assert row.claim.split()[0] in text


def test_summary_and_exit_code(monkeypatch, known, rows):
    code, out, _ = qbsweep("verify")
    assert code == 0
    count = [sum(row.verdict == word for row in rows) for word in (HOLDS, CORRECTED, FAILS)]
    assert out.splitlines()[-1] == (
        f"{len(rows)} claims: {count[0]} hold, {count[1]} hold with a correction, {count[2]} do not hold, 0 undecided"
    )


def test_a_broken_test_is_one_undecided_row_and_exit_code_1(monkeypatch):
    def broken():
        raise ArithmeticError("no convergence")

    def unexplained():
        return Finding("something", BAD, (BAD,), reason="a wrong guess")

    few = (Claim("a", "(1)", broken), Claim("b", "(2)", unexplained), Claim("c", "(3)", lambda: Finding("all", GOOD)))
    monkeypatch.setattr(claims, "CLAIMS", few)
    code, out, _ = qbsweep("verify", "--json")
    assert code == 1
    table = json.loads(out)
    assert [entry["verdict"] for entry in table] == [UNDECIDED, UNDECIDED, HOLDS]
    assert table[0]["number"] is None
    assert table[0]["reason"] == "the test broke: ArithmeticError: no convergence"
    assert table[1]["reason"] == "it fails, and not for this reason: a wrong guess"
    assert qbsweep("verify")[0] == 1


def test_two_formats_are_refused(monkeypatch, known):
    code, _, err = qbsweep("verify", "--json", "--markdown")
    assert code == 2
    assert err == "qbsweep: `--json` and `--markdown` are two formats of the same table; choose one\n"


# ---------------------------------------------------------------------------- the page

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def _same(shown, computed):
    """Whether two numbers agree to the last digits that a machine may change; rounding errors all are alike."""
    a, b = float(shown), float(computed)
    return (abs(a) < 1e-9 and abs(b) < 1e-9) or abs(a - b) <= 0.01 * max(abs(a), abs(b))


def test_page_shows_what_is_computed(monkeypatch, known, rows):
    shown = re.search(r"<!-- verify -->\n(.*)<!-- /verify -->", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    code, out, _ = qbsweep("verify", "--markdown")
    assert code == 0
    assert out == markdown(rows) + "\n"
    for line, expected in itertools.zip_longest(shown[1].splitlines(), out.splitlines(), fillvalue=""):
        assert NUMBER.sub("#", line) == NUMBER.sub("#", expected)
        assert all(map(_same, NUMBER.findall(line), NUMBER.findall(expected)))
