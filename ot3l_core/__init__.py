"""Targeted transfer learning as a library: data, optimal transport, selection and fine-tuning.

Importing this package is free: torch loads with the subpackages that compute.
"""
