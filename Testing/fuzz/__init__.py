"""Fuzzing with mutated inputs for every reader: `make fuzz`. Each must be read correctly or refused in one sentence."""
