"""Pure functions on arrays: networks of bosonic modes, their moments, and the closed forms they obey.

Conventions: hbar = 1; energies in units of omega, rates and couplings as fractions of omega,
time in 1/omega. Mode 0 is the charger, modes 1..N are the batteries, mode N the terminal one.
Equation numbers are those of Liu et al., "Connection-topology-dependent energy transport and
ergotropy in quantum battery networks with reciprocal and nonreciprocal couplings" (2026).
"""
