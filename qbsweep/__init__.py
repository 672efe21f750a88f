"""Parameter sweeps of quantum-battery networks."""

__version__ = "0.1.0"
