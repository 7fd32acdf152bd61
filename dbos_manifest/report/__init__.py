"""Renderers: one module for each kind of result or format; each turns data into text."""
