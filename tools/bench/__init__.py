"""Measures what commands and fetches cost, and how long commands wait that share one second.

Each measured run is a process of its own that runs the integration as the server does; the
simulated tenant stays in this process, so that it is in no figure. What is compared runs in
turn, round after round, so that both meet the same machine; what counts is the median of
the rounds' differences. `make bench` prints it all, in some minutes.
"""
