"""The master equation in a truncated Fock space, one point at a time."""
