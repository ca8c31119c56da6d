"""Leaderships and lockers: how a program takes part in a lease."""
