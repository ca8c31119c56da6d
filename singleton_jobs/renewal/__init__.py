"""The one thread that carries decisions out, and what a program sees of a lease through it."""
