"""A job that only the new version of a program has: this folder is on its path alone."""

from work import run

__all__ = ["run"]
