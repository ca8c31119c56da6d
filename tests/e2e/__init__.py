"""Real processes against a real API server."""
