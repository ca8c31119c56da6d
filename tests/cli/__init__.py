"""Tests of the `singleton-jobs` command."""
