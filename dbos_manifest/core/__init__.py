"""The vocabulary of all other folders."""
