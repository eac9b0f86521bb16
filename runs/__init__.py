"""The longer experiments: each one command, `python -m runs.NAME`, each writing data with its provenance."""
