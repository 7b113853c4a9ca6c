"""The student network: encoders that never see masks, pooling that does, a head whose contributions add up."""
