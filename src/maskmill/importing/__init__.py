"""Make a folder of somebody's images and masks the data of this repository.

It is recognised, its meaning is guessed and said, and it is versioned.
"""
