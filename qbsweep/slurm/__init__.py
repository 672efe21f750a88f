"""The run loop in jobs of a cluster."""
