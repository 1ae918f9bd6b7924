"""Monthly reports from the NOC's Prometheus: figures in one module each, their words in *_document.py."""
