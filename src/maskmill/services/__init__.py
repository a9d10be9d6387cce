"""The servers of `maskmill up`: how they are started, kept alive, watched and stopped."""
