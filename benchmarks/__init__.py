"""Speed against named peers that do equal work in the same run; `python -m benchmarks` prints the tables."""
