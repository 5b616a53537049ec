"""Helpers of the end-to-end tests: one instance of ballast, origins, clients, waiting."""
