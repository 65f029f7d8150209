"""Kernels, Gamma and Gaussian processes, acquisition: arrays in, a predictive out; no sampler comes in."""
