"""First and second moments of Gaussian networks, vectorised over couplings."""
