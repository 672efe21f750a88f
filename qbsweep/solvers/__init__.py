"""A product of named points in, labelled arrays and verdicts out."""
