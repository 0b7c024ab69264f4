"""Export of telemetry to an OpenTelemetry collector: settings, encoding, and the exporter."""
