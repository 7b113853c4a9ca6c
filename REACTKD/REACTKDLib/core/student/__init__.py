"""The student network: encoders that do not see masks, mask-based pooling, and a head with additive contributions."""
