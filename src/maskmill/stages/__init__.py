"""The stages of dvc.yaml, one file each: read inputs, call the library, write outs.

A stage is a function whose parameters are sections of params.yaml, and `variant` where the stage
runs once per variant.
"""
