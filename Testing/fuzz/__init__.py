"""Mutated inputs for every reader: `make fuzz`. Each must be read right or refused in one sentence."""
