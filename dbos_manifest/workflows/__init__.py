"""One workflow, and batches of many."""
