"""The command `maskmill`, for people; stages and flows never go through it."""
