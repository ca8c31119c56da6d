"""What to do about a lease, decided from what was seen and the time passed in: no clock, thread, chance or I/O."""
