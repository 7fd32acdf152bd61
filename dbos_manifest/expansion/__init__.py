"""Entries and axes become batches of workflows."""
