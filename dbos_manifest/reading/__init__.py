"""Text becomes values, within bounds and with places."""
