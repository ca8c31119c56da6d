"""Leases of a Kubernetes API server."""
