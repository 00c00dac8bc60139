"""One trace per chord, with OpenTelemetry: whose span is whose, how they are written, and when there are any."""
