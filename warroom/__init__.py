"""A war room on this machine: platform stand-ins, a simulated tenant and a runner for the integration's commands."""
