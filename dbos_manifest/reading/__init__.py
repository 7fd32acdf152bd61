"""Read text as values, within limits and with positions."""
