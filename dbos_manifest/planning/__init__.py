"""States and changes: data and pure functions."""
