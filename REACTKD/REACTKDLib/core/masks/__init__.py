"""Liver and tumor masks: regions, shells, surfaces, topology, and checks and fixes of masks."""
