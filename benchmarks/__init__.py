"""What singleton-jobs costs and how fast it is, against the official client, on a real control plane."""
