"""Metrics for Prometheus, and where they are served."""
