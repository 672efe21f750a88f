"""Filling a dataset: plan, blocks, the run loop and its executors."""
