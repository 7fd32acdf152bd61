"""Results in, text out: one module for each kind of result, one renderer for each format."""
