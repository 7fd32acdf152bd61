"""A document as a manifest, with its variables and catalog."""
