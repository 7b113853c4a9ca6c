"""Liver and tumor masks: regions, shells, surfaces, topology, what is wrong with a mask and its mending."""
