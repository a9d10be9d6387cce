"""A folder of somebody's images and masks becomes this repository's data: recognised, guessed, said, versioned."""
