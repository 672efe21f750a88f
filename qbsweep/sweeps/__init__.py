"""What the user asked for: the sweep file, its axes and its networks."""
