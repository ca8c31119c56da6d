"""Time, native threads and locks, waiting, and what a fork changes: whatever blocks or wakes."""
