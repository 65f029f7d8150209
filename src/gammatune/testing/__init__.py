"""Stand-ins and contract batteries, shipped so that anyone's sampler, policy or training can be tested."""
