"""Steps, checkpoints, processes and logs; knows nothing of networks."""
