"""One verb per module: what the program does with files and databases."""
