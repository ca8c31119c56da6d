"""Functions that run only where and when they may."""
