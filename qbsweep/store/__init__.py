"""A labelled dataset on disk, and the run directory around it."""
