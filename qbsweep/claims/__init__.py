"""The paper's statements, and the verdicts that follow from the exact solution."""
