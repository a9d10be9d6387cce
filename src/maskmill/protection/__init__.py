"""What a run may replace: the outs of the stages, and which files are nowhere else."""
