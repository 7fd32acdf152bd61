"""Manifests: their content, variables and catalog."""
