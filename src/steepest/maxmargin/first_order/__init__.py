"""First-order methods: cheap iterations for problems of any size."""
