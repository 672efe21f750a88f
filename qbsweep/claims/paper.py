"""The paper's claims, in its order, and the functions that test them.

Liu et al., "Connection-topology-dependent energy transport and ergotropy in quantum battery networks with
reciprocal and nonreciprocal couplings" (2026).
"""

from qbsweep.claims import bath, cascaded, chain, optimum, parallel, relaxation
from qbsweep.claims.ledger import Claim, Row, check

CLAIMS = (
    Claim("H couples charger and batteries in a row", "(1), (B1)", cascaded.hamiltonian),
    Claim(
        "θ = π/2, μ = 1 or θ = 0, μ = -i with J = Γ/2 is unidirectional",
        "below (2), (6)",
        cascaded.nonreciprocity,
    ),
    Claim("equations of motion of the cascade", "(A1), (A3)", cascaded.equations_of_motion),
    Claim("E_N(t) of the cascade: sign of the sum", "(3)", cascaded.sign_of_3),
    Claim("E_n of the cascade for n < N: rate Λ_n", "below (3)", cascaded.rates_of_inner_batteries),
    Claim("E_n(t) of the cascade, written out", "(A2), (A4)", cascaded.solutions_a2_a4),
    Claim("steady E_N of the cascade", "(4)", cascaded.steady_terminal),
    Claim("steady E_N of the uniform cascade", "(5)", cascaded.uniform_terminal),
    Claim("E_N(t) of the parallel network: exponents", "(7)", parallel.exponents_of_7),
    Claim("E_n of the parallel network for n < N: rate Λ_0", "below (7)", parallel.rate_of_the_charger),
    Claim("E_n(t) of the parallel network, written out", "(A6), (A8)", parallel.solutions_a6_a8),
    Claim("steady E_n of the parallel network: index of Λ", "(8)", parallel.index_of_8),
    Claim("steady E_N of the uniform parallel network", "(9)", parallel.uniform_nonreciprocal),
    Claim("derivatives of the energies by J", "(A9), (A10)", optimum.derivative),
    Claim("J_op of the cascade", "(10)", optimum.cascaded_law),
    Claim("J_op of the parallel network", "(10)", optimum.parallel_law),
    Claim("J_op of the cascade grows as N", "(10), large N", optimum.cascaded_exponent),
    Claim("J_op of the parallel network falls as N^(-1/2)", "(10), large N", optimum.parallel_exponent),
    Claim("below J_op the energy is predominantly in the charger", "Fig. 2 (a), (d)", optimum.localised),
    Claim(
        "at J_op nonreciprocity, Γ = 2J, maximizes E_N of the cascade", "below (10)", optimum.perfectly_nonreciprocal
    ),
    Claim("above J_op charging is faster and stores less", "Fig. 2", optimum.trade_off),
    Claim("E_N of the reciprocal chain, odd N", "(11)", chain.odd_chain),
    Claim("E_N of the reciprocal chain, even N", "(12)", chain.even_chain),
    Claim("E_N of the reciprocal parallel network", "(13)", parallel.uniform_reciprocal),
    Claim("spectrum of the reciprocal chain", "(B9)", chain.spectrum),
    Claim("a zero-energy mode at even N, none at odd N", "Sec. III, (B9)", chain.zero_mode),
    Claim("Green function of the reciprocal chain", "(B14)", chain.green_function),
    Claim(
        "reciprocal chain: even N stores more than odd N, at J_op",
        "Fig. 3 (a)",
        chain.odd_even_at_operating_point,
    ),
    Claim("reciprocal chain: |b_N| even > |b_N| odd, at one J", "(B16)", chain.odd_even_at_one_coupling),
    Claim("no odd-even effect elsewhere", "Abstract, Sec. III", chain.no_parity_elsewhere),
    Claim("reciprocal chain, odd N: one peak in J", "Fig. 3 (c)", chain.odd_peak),
    Claim("reciprocal chain, even N: rises with J and saturates", "Fig. 3 (e)", chain.even_saturation),
    Claim("nonreciprocal networks: always one peak in J", "Sec. III", optimum.one_peak),
    Claim("nonreciprocal stores more at weak coupling", "Sec. III", optimum.weak_coupling),
    Claim("nonreciprocal cascade stores more at J_op", "Sec. III", optimum.cascade_stores_more),
    Claim("nonreciprocal parallel network stores more at J_op", "Sec. III", parallel.nonreciprocal_stores_more),
    Claim("reciprocal parallel network stores more for κ/(2N) < J < κ/2 only", "(14)", parallel.window),
    Claim("reciprocal chain: relaxation time grows linearly in N", "Fig. 4", relaxation.linear_growth),
    Claim("reciprocal parallel network: relaxation time independent of N", "Fig. 4", relaxation.independence),
    Claim("its relaxation time is much shorter than the chain's", "Fig. 4", relaxation.much_shorter),
    Claim("nonreciprocal relaxation is faster", "Fig. 4", relaxation.faster),
    Claim("nonreciprocal delivery is monotone in time", "Sec. III", relaxation.monotone),
    Claim("thermal bath: E + n_th", "below (15)", bath.thermal_shift),
    Claim("zero temperature: all of the energy is ergotropy", "Sec. IV", bath.zero_temperature),
    Claim("ergotropy falls with n_th", "Fig. 5 (d-f)", bath.thermal_ergotropy),
    Claim("squeezing enhances ergotropy, the more the stronger", "Fig. 6 (c), (d)", bath.squeezing_enhances),
    Claim(
        "either realization of the nonreciprocal coupling gives Fig. 6",
        "Sec. II, Fig. 6",
        bath.either_realization,
    ),
    Claim("squeezing enhances the useful fraction of the energy", "Sec. IV", bath.useful_fraction),
)


def check_all() -> list[Row]:
    """Test every claim."""
    return [check(claim) for claim in CLAIMS]
