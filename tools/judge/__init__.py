"""Lets Microsoft's own clients use the simulated tenant, and says where they disagree.

It runs in an environment of its own, which has them: `make judge`.
"""
