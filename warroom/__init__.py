"""A Cortex on this machine: the platform, a simulated tenant, and a terminal to both."""
