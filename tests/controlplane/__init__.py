"""A real etcd and kube-apiserver, a client, pods that are processes, and a proxy that breaks things."""
