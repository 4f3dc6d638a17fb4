"""What operators deploy is valid, speaks of what there is, and works with the real programs."""
