"""The servers of `maskmill up`: what they are, and how they are started, kept alive, watched and stopped."""
