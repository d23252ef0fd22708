"""Votes counted by workers of a cluster: hand-out, loss, what a worker needs. Imported where a cluster is asked for, and nowhere else."""
