"""Alerts and dashboards as code; `python -m ray_app.monitoring` writes the files under kuberay/monitoring."""
