"""Workflows one by one and in batches: options, precedence, digests, encoded arguments."""
