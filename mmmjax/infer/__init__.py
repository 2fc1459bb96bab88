"""Inference: a spec and a panel to draws, whatever the sampler."""
